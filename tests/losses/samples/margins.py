from dataclasses import replace

import torch
from sampling import CLASS_LOGITS, CLASSES, MARGIN, Sample, of
from torch import Tensor


def _scores() -> Tensor:
    """Every triple of scores from -2 to 2 in steps of a fifth: a margin of 1 lies between some of them exactly."""
    return torch.cartesian_prod(*[torch.linspace(-2, 2, 21, dtype=torch.float64)] * CLASSES)


def _odds(pred: Tensor) -> Tensor:
    """Half the log-odds as score: where the expected exponential loss is smallest."""
    return torch.stack([(-2 * pred).sigmoid(), (2 * pred).sigmoid()], -1)


def _share(pred: Tensor) -> Tensor:
    """The difference of the two probabilities as score: where the expected squared hinge is smallest."""
    yes = ((1 + pred) / 2).clamp(0, 1)
    return torch.stack([1 - yes, yes], -1)


SAMPLES: dict[str, Sample] = {
    "squared_hinge": replace(MARGIN, forecast=_share),
    # It grows so fast that larger scores overflow.
    "exponential": replace(
        MARGIN,
        extremes=lambda d: [{"pred": of(d, 80, -80, 0, 80), "target": of(d, 1, 1, 1, -1)}],
        reach=50.0,
        forecast=_odds,
    ),
    "multiclass_hinge": replace(CLASS_LOGITS, grid=_scores),
    "multi_margin": replace(CLASS_LOGITS, grid=_scores),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
