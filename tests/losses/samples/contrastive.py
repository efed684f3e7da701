from collections.abc import Callable

import torch
from sampling import CLASSES, Inputs, Sample, Source, of

from samples.metric import embeddings, renamed


def _two(first: str, second: str) -> Callable[[Source], Inputs]:
    return lambda source: {first: embeddings(source, source.rows), second: embeddings(source, source.rows)}


def _twin_labels(source: Source) -> Inputs:
    # The first two rows are of one class, so that one anchor has a positive.
    target = source.labels(CLASSES, source.rows)
    target[1:2] = target[:1]
    return {"pred": embeddings(source, source.rows), "target": target}


def _two_extremes(first: str, second: str) -> Callable[[torch.dtype], list[Inputs]]:
    def extremes(dtype: torch.dtype) -> list[Inputs]:
        return [
            # Opposite, equal and across; long and short.
            {first: of(dtype, [1e6, 0], [0, 1e-3], [3, 0]), second: of(dtype, [-1, 0], [0, 1e6], [0, 2])},
            {first: of(dtype, [1, 0], [1, 0]), second: of(dtype, [1, 0], [1, 0])},
            {first: of(dtype, [0, 0], [1, 0]), second: of(dtype, [0, 1], [1, 0])},
        ]

    return extremes


def _labelled_extremes(dtype: torch.dtype) -> list[Inputs]:
    target = torch.tensor([0, 0, 1, 2])
    return [
        {"pred": of(dtype, [1e6, 0], [-1e-3, 0], [0, 1], [0, -5]), "target": target},
        {"pred": of(dtype, [1, 0], [1, 0], [1, 0], [1, 0]), "target": target},
        {"pred": of(dtype, [0, 0], [1, 0], [0, 1], [1, 0]), "target": target},
    ]


def _swap(first: str, second: str) -> Callable[[Inputs, int], Inputs]:
    return lambda inputs, _: {first: inputs[second], second: inputs[first]}


def _views(first: str, second: str, *, float32: float) -> Sample:
    return Sample(
        draw=_two(first, second),
        extremes=_two_extremes(first, second),
        rowwise=False,
        mirror=_swap(first, second),
        # A thousandth as temperature makes a thousand of what rounding, or the step of a difference, does to a cosine.
        float32=float32,
        difference=1e-3,
    )


def _batch_extremes(dtype: torch.dtype) -> list[Inputs]:
    return [
        # A dead feature beside large ones; views that collapsed.
        {"z1": of(dtype, [3, 1e3], [3, -1e3], [3, 0]), "z2": of(dtype, [1, 2], [-1, 2], [0, 2])},
        {"z1": of(dtype, [1, 2], [1, 2]), "z2": of(dtype, [0, 0], [0, 0])},
    ]


_BATCHES = Sample(
    draw=lambda s: {"z1": s.reals(s.rows, 4), "z2": s.reals(s.rows, 4)},
    extremes=_batch_extremes,
    rowwise=False,
    fewest=2,
    mirror=_swap("z1", "z2"),
    # Covariances squared grow with the fourth power of the numbers.
    reach=10.0,
    spread=1.0,
)


SAMPLES: dict[str, Sample] = {
    "info_nce": _views("query", "positive", float32=1e-3),
    "nt_xent": _views("z1", "z2", float32=1e-3),
    "supcon": Sample(
        draw=_twin_labels,
        extremes=_labelled_extremes,
        rowwise=False,
        fewest=2,
        mirror=renamed,
        float32=1e-3,
        difference=1e-3,
    ),
    "barlow_twins": _BATCHES,
    "vicreg": _BATCHES,
    "negative_cosine": Sample(
        draw=_two("p", "z"),
        extremes=_two_extremes("p", "z"),
        lowest=-1.0,
        scales=("p",),
        spread=6.0,
        mirror=_swap("p", "z"),
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
