from dataclasses import replace

import torch
from sampling import REGRESSION, Bad, Inputs, Sample, Source, of
from torch import Tensor


def _boxes(source: Source) -> Inputs:
    """Any label, and predictions up to three times as large, next to it or overlapping: at random few of either do."""
    low, size = source.reals(source.rows, 2), source.nonnegative(source.rows, 2)
    shift, growth = 4 * source.fractions(source.rows, 2) - 2, 3 * source.fractions(source.rows, 2)
    return {"pred": _box(low + shift * size, growth * size), "target": _box(low, size)}


def _box(low: Tensor, size: Tensor) -> Tensor:
    return torch.cat([low, low + size], -1)


def _extremes(dtype: torch.dtype) -> list[Inputs]:
    point, box, far = [5, 5, 5, 5], [0, 0, 10, 20], [1e6, 1e6, 1e6 + 8, 1e6 + 16]
    thin, flat = [0, 0, 0, 7], [0, 0, 7, 0]
    pairs = [(point, point), (box, box), (box, far), (point, far), (thin, thin), (thin, flat), (box, point)]
    return [{"pred": of(dtype, *[a for a, _ in pairs]), "target": of(dtype, *[b for _, b in pairs])}]


BOXES = Sample(
    draw=_boxes,
    bad=(
        Bad("pred", 1e6, r"pred at \(0, 0\) is 1e\+06, allowed: x1 at most x2 and y1 at most y2"),
        Bad("target", 1e6, r"target at \(0, 0\) is 1e\+06, allowed: x1 at most x2 and y1 at most y2"),
    ),
    extremes=_extremes,
    mirror=lambda inputs, _: {"pred": inputs["target"], "target": inputs["pred"]},
    scales=("pred", "target"),
)

SAMPLES: dict[str, Sample] = {
    "iou": BOXES,
    "giou": BOXES,
    "diou": BOXES,
    # The weight of the aspect penalty is detached by definition.
    "ciou": replace(BOXES, difference=None),
    "box_smooth_l1": replace(
        REGRESSION,
        draw=lambda s: {"pred": s.reals(s.rows, 4), "target": s.reals(s.rows, 4)},
        extremes=lambda d: [
            {"pred": of(d, [0, 1, -1, 1e6], [0] * 4), "target": of(d, [0, 0, 0, -1e6], [0] * 4)},
        ],
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
