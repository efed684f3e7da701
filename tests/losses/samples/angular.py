import torch
from sampling import CLASSES, Bad, Inputs, Sample, Source, of

from samples.metric import embeddings, permuted


def _draw(source: Source) -> Inputs:
    return {
        "pred": embeddings(source, source.rows),
        "weight": embeddings(source, CLASSES),
        "target": source.labels(CLASSES, source.rows),
    }


def _extremes(dtype: torch.dtype) -> list[Inputs]:
    centres = of(dtype, [1, 0], [0, 2], [-1e3, 0])
    labels = torch.arange(3)
    # A zero embedding, one on its centre and one opposite to it; long and short ones across their centres; a zero
    # centre.
    return [
        {"pred": of(dtype, [0, 0], [0, 3], [1e6, 0]), "weight": centres, "target": labels},
        {"pred": of(dtype, [0, 1e6], [1e-3, 0], [0, -1]), "weight": centres, "target": labels},
        {"pred": of(dtype, [1, 0], [0, 1], [0, -1]), "weight": of(dtype, [0, 0], [1, 0], [0, 1]), "target": labels},
    ]


_CENTRES = Sample(
    draw=_draw,
    bad=(
        Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),
        Bad("target", -1, r"target at \(0,\) is -1, allowed: 0 to 2"),
    ),
    extremes=_extremes,
    axis={"weight": None},
    free_rows=("weight",),
    mirror=permuted("weight"),
)

SAMPLES: dict[str, Sample] = {"arcface": _CENTRES, "cosface": _CENTRES}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
