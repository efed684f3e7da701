from dataclasses import replace

import torch
from sampling import CLASS_LOGITS, CLASSES, Bad, Inputs, Sample, of
from torch import Tensor


def _log_probabilities(dtype: torch.dtype) -> list[Inputs]:
    return [inputs | {"pred": inputs["pred"].log_softmax(-1)} for inputs in CLASS_LOGITS.extremes(dtype)]


def _corners(dtype: torch.dtype) -> list[Inputs]:
    labels = torch.arange(CLASSES)
    right, wrong = of(dtype, [1, 0, 0], [0, 1, 0], [0, 0, 1]), of(dtype, [0, 1, 0], [0, 0, 1], [1, 0, 0])
    return [{"pred": right, "target": labels}, {"pred": wrong, "target": labels}]


def _logits_around_zero() -> Tensor:
    return torch.cartesian_prod(*[torch.linspace(-0.8, 1.2, 21, dtype=torch.float64)] * CLASSES)


SAMPLES: dict[str, Sample] = {
    "nll": replace(
        CLASS_LOGITS,
        draw=lambda s: {"pred": s.reals(s.rows, CLASSES).log_softmax(-1), "target": s.labels(CLASSES, s.rows)},
        extremes=_log_probabilities,
    ),
    "label_smoothing_ce": CLASS_LOGITS,
    "class_balanced_ce": replace(
        CLASS_LOGITS,
        bad=(
            *CLASS_LOGITS.bad,
            Bad("pred", 0.5, r"samples_per_class has shape \(2,\), allowed: \(3,\)", {"samples_per_class": [1.0, 2.0]}),
        ),
    ),
    "poly1_ce": CLASS_LOGITS,
    "squentropy": replace(CLASS_LOGITS, grid=_logits_around_zero),
    "taylor_ce": CLASS_LOGITS,
    "brier": replace(
        CLASS_LOGITS,
        draw=lambda s: {"pred": s.distributions(s.rows, CLASSES), "target": s.labels(CLASSES, s.rows)},
        bad=(
            *CLASS_LOGITS.bad,
            Bad("pred", 1.5, r"pred at \(0, 0\) is 1.5, allowed: 0 to 1"),
            Bad("pred", -0.1, r"pred at \(0, 0\) is -0.1, allowed: 0 to 1"),
        ),
        extremes=_corners,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
