from collections.abc import Callable
from dataclasses import replace

import torch
from sampling import CLASSES, Bad, Inputs, Sample, Source, of
from torch import Tensor


def embeddings(source: Source, rows: int) -> Tensor:
    """(rows, 4) vectors, none shorter than 0.01: the slope of a cosine grows without bound as its vectors shrink.

    Where it cancels, rounding is all that is left of it, and a short vector makes much of that. Zero vectors are among
    the extremes.
    """
    reals = source.reals(rows, 4)
    kept = reals.where(reals.abs() >= 0.01, torch.zeros_like(reals))
    kept[:, 0] += (kept == 0).all(-1)
    return kept


def _pairs(*labels: float) -> Sample:
    def draw(source: Source) -> Inputs:
        rows = source.rows
        return {"x1": embeddings(source, rows), "x2": embeddings(source, rows), "target": source.pick(labels, rows)}

    def extremes(dtype: torch.dtype) -> list[Inputs]:
        # The same place, opposite, across; a zero vector.
        x1 = of(dtype, [1, 2], [1e6, 0], [1e-3, 0], [0, 0])
        x2 = of(dtype, [1, 2], [-1e6, 0], [0, 1e6], [3, 4])
        return [{"x1": x1, "x2": x2, "target": torch.full((4,), label, dtype=dtype)} for label in labels]

    return Sample(
        draw=draw,
        bad=(
            Bad("target", 0.5, r"target at \(0,\) is 0.5, allowed: "),
            Bad("target", 2.0, r"target at \(0,\) is 2, allowed: "),
        ),
        extremes=extremes,
        mirror=lambda inputs, _: inputs | {"x1": inputs["x2"], "x2": inputs["x1"]},
        scales=("x1",),
    )


def _triplets(source: Source) -> Inputs:
    return {name: source.reals(source.rows, 4) for name in ("anchor", "positive", "negative")}


def _triplet_extremes(dtype: torch.dtype) -> list[Inputs]:
    same = of(dtype, [1, 2], [3, 4])
    far = of(dtype, [1e6, 0], [-1e6, 0])
    return [
        {"anchor": same, "positive": same, "negative": same},
        {"anchor": far, "positive": -far, "negative": same},
        {"anchor": same, "positive": far, "negative": far},
    ]


def _labelled(source: Source) -> Inputs:
    return {"pred": embeddings(source, source.rows), "target": source.labels(CLASSES, source.rows)}


def _labelled_extremes(dtype: torch.dtype) -> list[Inputs]:
    # Clusters turned against each other; collapsed; a zero vector; a single class; no two of a class.
    # The short one is a power of 2: its length drops out without a rounding error.
    turned = of(dtype, [1e6, 0], [-(2.0**-10), 0], [0, 1], [0, -5])
    same = of(dtype, [1, 0], [1, 0], [1, 0], [1, 0])
    pairs = torch.tensor([0, 0, 1, 1])
    return [
        {"pred": turned, "target": pairs},
        {"pred": same, "target": pairs},
        {"pred": of(dtype, [0, 0], [1, 0], [0, 1], [1, 0]), "target": pairs},
        {"pred": turned, "target": torch.zeros_like(pairs)},
        {"pred": turned, "target": torch.arange(4)},
    ]


def renamed(inputs: Inputs, seed: int) -> Inputs:
    """The samples in another order, and other names for their classes."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randperm(len(inputs["pred"]), generator=generator)
    names = torch.randperm(int(inputs["target"].max()) + 1, generator=generator)
    return {"pred": inputs["pred"][rows], "target": names[inputs["target"][rows]]}


_LABELLED = Sample(draw=_labelled, extremes=_labelled_extremes, rowwise=False, mirror=renamed)


def permuted(name: str) -> Callable[[Inputs, int], Inputs]:
    """The classes in another order: their centres, in the input ``name``, and their labels."""

    def mirror(inputs: Inputs, seed: int) -> Inputs:
        order = torch.randperm(len(inputs[name]), generator=torch.Generator().manual_seed(seed))
        return inputs | {name: inputs[name][order], "target": order.argsort()[inputs["target"]]}

    return mirror


def _other_anchor(inputs: Inputs, seed: int) -> Inputs:
    return inputs | {"anchor": inputs["positive"], "positive": inputs["anchor"]}


def _centres(name: str) -> Sample:
    def draw(source: Source) -> Inputs:
        pred, target = embeddings(source, source.rows), source.labels(CLASSES, source.rows)
        return {"pred": pred, name: embeddings(source, CLASSES), "target": target}

    def extremes(dtype: torch.dtype) -> list[Inputs]:
        centres = of(dtype, [1, 0], [0, 2], [-1e3, 0])
        return [
            {"pred": of(dtype, [1, 0], [0, 1e6], [0, 0]), name: centres, "target": torch.arange(3)},
            {"pred": of(dtype, [0, -1], [1e-3, 0], [0, 1]), name: centres, "target": torch.arange(3)},
        ]

    return Sample(
        draw=draw,
        bad=(
            Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),
            Bad("target", -1, r"target at \(0,\) is -1, allowed: 0 to 2"),
        ),
        extremes=extremes,
        axis={name: None},
        free_rows=(name,),
        mirror=permuted(name),
    )


SAMPLES: dict[str, Sample] = {
    # Short embeddings are where the cosine's slope is steepest.
    "cosine_embedding": replace(_pairs(-1.0, 1.0), spread=4.0),
    "contrastive": _pairs(0.0, 1.0),
    "triplet_margin": Sample(draw=_triplets, extremes=_triplet_extremes, scales=("anchor",), mirror=_other_anchor),
    # The weights are detached by definition; gamma makes hundreds of what rounding does to a cosine.
    "circle": replace(_LABELLED, difference=None, float32=1e-3),
    "multi_similarity": replace(_LABELLED, difference=1e-5, float32=1e-4),
    "center": _centres("centers"),
    "proxy_nca": replace(_centres("proxies"), lowest=-400.0, float32=1e-4),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
