import torch
from sampling import Bad, Inputs, Sample, Source, of

BAD = (
    Bad("pred", 1.5, r"pred at \(0, 0\) is 1.5, allowed: 0 to 1", {"kind": "bce"}),
    Bad("target", -0.5, r"target at \(0, 0\) is -0.5, allowed: 0 to 1", {"kind": "bce"}),
)


def _output(source: Source) -> Inputs:
    # Probabilities, which either kind takes; not so near to 1 that float32 loses them.
    pred = source.reals(source.rows, 4).clamp(-8, 8).sigmoid()
    return {"pred": pred, "target": source.fractions(source.rows, 4)}


def _coded(source: Source) -> Inputs:
    codes = {"mu": source.reals(source.rows, 2), "logvar": source.reals(source.rows, 2).clamp(-20, 20)}
    return _output(source) | codes


def _ends(dtype: torch.dtype) -> list[Inputs]:
    pred = of(dtype, [0, 1, 1e-6, 0.5], [1, 0, 0.5, 1 - 1e-6])
    return [{"pred": pred, "target": target} for target in (pred, 1 - pred, torch.full_like(pred, 0.5))]


def _coded_ends(dtype: torch.dtype) -> list[Inputs]:
    codes = {"mu": of(dtype, [0, 1e3], [-1e3, 5]), "logvar": of(dtype, [-80, 80], [0, -12])}
    return [output | codes for output in _ends(dtype)]


def _inverted(inputs: Inputs, seed: int) -> Inputs:
    return {name: 1 - tensor for name, tensor in inputs.items()}


def _inverted_and_coded(inputs: Inputs, seed: int) -> Inputs:
    return inputs | {"pred": 1 - inputs["pred"], "target": 1 - inputs["target"], "mu": -inputs["mu"]}


# Beside a probability of 1e-3 the differences' step is not small.
ROUGH = 1e-5

SAMPLES: dict[str, Sample] = {
    "reconstruction": Sample(
        draw=_output, bad=BAD, extremes=_ends, mirror=_inverted, scales=("pred", "target"), reach=1e2, difference=ROUGH
    ),
    "vae_elbo": Sample(
        draw=_coded,
        bad=(*BAD, Bad("logvar", 81.0, r"logvar at \(0, 0\) is 81, allowed: -80 to 80")),
        extremes=_coded_ends,
        mirror=_inverted_and_coded,
        scales=("pred", "target"),
        difference=ROUGH,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
