import torch
from sampling import Bad, Inputs, Sample, Source, of

LABEL = Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2")


def _taught(source: Source) -> Inputs:
    logits = {name: source.reals(source.rows, 3) for name in ("pred", "teacher")}
    return logits | {"target": source.labels(3, source.rows)}


def _among_peers(source: Source) -> Inputs:
    # Sizes belong to rows, and the rows of peers are their second axis.
    peers = torch.stack([source.reals(source.rows, 3) for _ in range(2)])
    return {"pred": source.reals(source.rows, 3), "peers": peers, "target": source.labels(3, source.rows)}


def _saturated(dtype: torch.dtype) -> Inputs:
    logits = of(dtype, [1000, -1000, 0], [-1000, 1000, 0], [0, 0, 0])
    return {"pred": logits, "target": torch.tensor([0, 2, 1])}


def _permuted(inputs: Inputs, seed: int) -> Inputs:
    order = torch.randperm(inputs["pred"].shape[1], generator=torch.Generator().manual_seed(seed))
    logits = {name: tensor[..., order] for name, tensor in inputs.items() if name != "target"}
    return logits | {"target": order.argsort()[inputs["target"]]}


SAMPLES: dict[str, Sample] = {
    "distillation": Sample(
        draw=_taught,
        bad=(LABEL,),
        extremes=lambda d: [_saturated(d) | {"teacher": sign * _saturated(d)["pred"]} for sign in (1, -1)],
        mirror=_permuted,
        # The temperature squared, up to 400, times the difference of two answers that are all but equal.
        float32=1e-4,
    ),
    "deep_mutual": Sample(
        draw=_among_peers,
        bad=(LABEL,),
        extremes=lambda d: [_saturated(d) | {"peers": torch.stack([_saturated(d)["pred"], -_saturated(d)["pred"]])}],
        axis={"peers": 1},
        free_rows=("peers",),
        mirror=_permuted,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
