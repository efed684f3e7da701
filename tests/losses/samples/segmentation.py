from dataclasses import replace

import torch
from sampling import Bad, Inputs, Sample, Source, of

CHANNELS, HEIGHT, WIDTH = 2, 2, 3


def _maps(source: Source) -> Inputs:
    shape = (source.rows, CHANNELS, HEIGHT, WIDTH)
    return {"pred": source.fractions(*shape), "target": source.pick([0.0, 1.0], *shape)}


def _some_nearly_right(source: Source) -> Inputs:
    """Where sizes cover many powers of ten some images are right in their masks and nearly right outside."""
    inputs = _maps(source)
    pred, target = inputs["pred"], inputs["target"]
    number = source.reals(source.rows, 1, 1, 1).abs()
    nearly = target + (1 - target) * pred * (-number).exp()
    return inputs | {"pred": nearly.where(number > 30, pred)}


def _map_extremes(dtype: torch.dtype) -> list[Inputs]:
    empty, full, half = of(dtype, 0, 0), of(dtype, 1, 1), of(dtype, 1, 0)
    pred = torch.stack([empty, full, half, empty, full, half, half])[:, None, None]
    target = torch.stack([empty, full, half, full, empty, full, 1 - half])[:, None, None]
    return [{"pred": pred, "target": target}]


def _exchange(inputs: Inputs, seed: int) -> Inputs:
    return {"pred": inputs["target"], "target": inputs["pred"]}


MAPS = Sample(
    draw=_maps,
    bad=(
        Bad("pred", 1.5, r"pred at \(0, 0, 0, 0\) is 1.5, allowed: 0 to 1"),
        Bad("pred", -0.5, r"pred at \(0, 0, 0, 0\) is -0.5, allowed: 0 to 1"),
        Bad("target", 0.5, r"target at \(0, 0, 0, 0\) is 0.5, allowed: 0 or 1"),
    ),
    extremes=_map_extremes,
    # With batch=True a value belongs to a channel.
    rowwise=False,
    # With smooth_nr above smooth_dr an empty mask has a negative loss.
    lowest=-1e9,
    mirror=_exchange,
)


def _class_maps(source: Source) -> Inputs:
    pred = source.distributions(source.rows, HEIGHT, WIDTH, 3).movedim(-1, 1).contiguous()
    return {"pred": pred, "target": source.labels(3, source.rows, HEIGHT, WIDTH)}


def _class_extremes(dtype: torch.dtype) -> list[Inputs]:
    labels = torch.tensor([[[0, 1]], [[2, 2]], [[0, 0]]])
    right = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1).to(dtype)
    return [{"pred": pred, "target": labels} for pred in (right, right.roll(1, 1), torch.full_like(right, 1 / 3))]


def _permute(inputs: Inputs, seed: int) -> Inputs:
    order = torch.randperm(3, generator=torch.Generator().manual_seed(seed))
    return {"pred": inputs["pred"][:, order], "target": order.argsort()[inputs["target"]]}


SAMPLES: dict[str, Sample] = {
    "dice": MAPS,
    "jaccard": MAPS,
    "tversky": MAPS,
    "focal_tversky": replace(
        MAPS,
        draw=_some_nearly_right,
        bad=(*MAPS.bad, Bad("pred", 0.5, "smooth_nr is 0.1, allowed: 0 to smooth_dr, 1e-05", {"smooth_nr": 0.1})),
        ends={"smooth_nr": [0.0, 1e-6], "smooth_dr": [1e-5, 10.0]},
        lowest=0.0,
    ),
    "lovasz_hinge": Sample(
        draw=lambda s: {
            "pred": s.reals(s.rows, HEIGHT, WIDTH),
            "target": s.pick([0.0, 1.0], s.rows, HEIGHT, WIDTH),
        },
        bad=(Bad("target", 0.5, r"target at \(0, 0, 0\) is 0.5, allowed: 0 or 1"),),
        extremes=lambda d: [
            {"pred": of(d, [[1000, -1000]], [[1000, 1000]], [[1, 1]]), "target": of(d, [[1, 0]], [[0, 0]], [[0, 1]])}
        ],
        spread=1.0,
        mirror=lambda inputs, _: {"pred": -inputs["pred"], "target": 1 - inputs["target"]},
    ),
    "lovasz_softmax": Sample(
        draw=_class_maps,
        bad=(
            Bad("target", 3, r"target at \(0, 0, 0\) is 3, allowed: 0 to 2"),
            Bad("target", -1, r"target at \(0, 0, 0\) is -1, allowed: 0 to 2"),
            Bad("pred", 1.5, r"pred at \(0, 0, 0, 0\) is 1.5, allowed: 0 to 1"),
            Bad("pred", 0.999, r"the sum of pred over the classes at \(0, 0, 0\) is .*, allowed: 1"),
        ),
        extremes=_class_extremes,
        rowwise=False,
        mirror=_permute,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
