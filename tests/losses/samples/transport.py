import torch
from sampling import CLASSES, Bad, Inputs, Sample, Source, of


def _pair(source: Source) -> Inputs:
    return {name: source.distributions(source.rows, CLASSES) for name in ("pred", "target")}


def _swapped(inputs: Inputs, seed: int) -> Inputs:
    return {"pred": inputs["target"], "target": inputs["pred"]}


def _corners(dtype: torch.dtype) -> list[Inputs]:
    corners = of(dtype, [1, 0, 0], [0, 1, 0], [0.5, 0.5, 0])
    return [{"pred": corners, "target": corners}, {"pred": corners, "target": corners.flip(1)}]


PAIR = Sample(
    draw=_pair,
    bad=(
        Bad("pred", -0.1, r"pred at \(0, 0\) is -0.1, allowed: 0 to 1"),
        Bad("target", 1.5, r"target at \(0, 0\) is 1.5, allowed: 0 to 1"),
    ),
    extremes=_corners,
    mirror=_swapped,
)

SAMPLES: dict[str, Sample] = {"wasserstein_1": PAIR, "total_variation": PAIR}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
