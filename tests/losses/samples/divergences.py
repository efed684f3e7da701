import torch
from sampling import CLASSES, Bad, Inputs, Sample, Source, of


def _pair(source: Source) -> Inputs:
    return {name: source.distributions(source.rows, CLASSES) for name in ("pred", "target")}


def _swapped(inputs: Inputs, seed: int) -> Inputs:
    return {"pred": inputs["target"], "target": inputs["pred"]}


def _kl_extremes(dtype: torch.dtype) -> list[Inputs]:
    # Possible classes have a forecast above 0: without it the loss is infinite.
    pred, target = of(dtype, [1, 0, 0], [0.5, 0.5, 0], [1e-30, 1, 0]), of(dtype, [1, 0, 0], [0, 1, 0], [1, 0, 0])
    return [{"pred": pred, "target": target}]


def _js_extremes(dtype: torch.dtype) -> list[Inputs]:
    corners = of(dtype, [1, 0, 0], [0, 1, 0], [0.5, 0.5, 0])
    return [{"pred": corners, "target": corners}, {"pred": corners, "target": corners.flip(1)}]


BAD = (
    Bad("pred", -0.1, r"pred at \(0, 0\) is -0.1, allowed: 0 to 1"),
    Bad("target", 1.5, r"target at \(0, 0\) is 1.5, allowed: 0 to 1"),
)

SAMPLES: dict[str, Sample] = {
    "kl_divergence": Sample(draw=_pair, bad=BAD, extremes=_kl_extremes, mirror=_swapped),
    "js_divergence": Sample(draw=_pair, bad=BAD, extremes=_js_extremes, mirror=_swapped),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
