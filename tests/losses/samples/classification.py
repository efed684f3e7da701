from dataclasses import replace

import torch
from sampling import BINARY, CLASS_LOGITS, CLASSES, MARGIN, Bad, Inputs, Sample, Source, of


def _soft_labels(source: Source) -> Inputs:
    return {"pred": source.reals(source.rows), "target": source.pick([0.0, 0.3, 1.0], source.rows)}


def _weighted(source: Source) -> Inputs:
    # Even weights: properties are claimed for them.
    return CLASS_LOGITS.draw(source) | {"weight": torch.ones(CLASSES, dtype=source.dtype)}


def _weighted_extremes(dtype: torch.dtype) -> list[Inputs]:
    return [inputs | {"weight": of(dtype, 0, 1, 10)} for inputs in CLASS_LOGITS.extremes(dtype)]


SAMPLES: dict[str, Sample] = {
    "bce_with_logits": replace(BINARY, draw=_soft_labels),
    "cross_entropy": replace(
        CLASS_LOGITS,
        draw=_weighted,
        bad=(
            Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2, or -100 to ignore the row"),
            Bad("target", -1, r"target at \(0,\) is -1, allowed: 0 to 2, or -100 to ignore the row"),
            Bad("weight", -1.0, r"weight at \(0,\) is -1, allowed: 0 or more"),
        ),
        extremes=_weighted_extremes,
        axis={"weight": None},
    ),
    "softmax_focal": replace(
        CLASS_LOGITS,
        bad=(*CLASS_LOGITS.bad, Bad("target", -100, r"target at \(0,\) is -100, allowed: 0 to 2")),
    ),
    "hinge": MARGIN,
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
