import torch
from sampling import Inputs, Sample, of


def _permuted(inputs: Inputs, seed: int) -> Inputs:
    classes = next(iter(inputs.values())).shape[1]
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(seed))
    return {name: logits[:, order] for name, logits in inputs.items()}


def _saturated(dtype: torch.dtype) -> torch.Tensor:
    return of(dtype, [1000, -1000, 0], [50, 50, 0], [0, 0, 0], [-1000, 0, 1000])


LOGITS = Sample(
    draw=lambda s: {"pred": s.reals(s.rows, 3)},
    extremes=lambda d: [{"pred": _saturated(d)}],
    mirror=_permuted,
)

SAMPLES: dict[str, Sample] = {
    "entropy_min": LOGITS,
    "fixmatch": Sample(
        draw=lambda s: {"weak": s.reals(s.rows, 3), "strong": s.reals(s.rows, 3)},
        extremes=lambda d: [{"weak": sign * _saturated(d), "strong": _saturated(d)} for sign in (1, -1)],
        mirror=_permuted,
    ),
    "pseudo_label": LOGITS,
    "mean_teacher": Sample(
        draw=lambda s: {"pred": s.reals(s.rows, 3), "teacher": s.reals(s.rows, 3)},
        extremes=lambda d: [{"pred": _saturated(d), "teacher": sign * _saturated(d)} for sign in (1, -1)],
        mirror=_permuted,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
