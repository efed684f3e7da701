from typing import Any

from networks import classifier
from sampling import Bad, Inputs, Sample, Source


def _attacked(source: Source) -> Inputs:
    x = source.fractions(source.rows, 2)
    return {"model": classifier(source, features=2), "x": x, "target": source.labels(3, source.rows)}


ATTACK_ENDS: dict[str, list[Any]] = {"clip_min": [-10.0, -1.0], "clip_max": [1.5, 10.0]}

SAMPLES: dict[str, Sample] = {
    "fgsm_ce": Sample(
        draw=_attacked,
        ends=ATTACK_ENDS,
        free_shape=("x",),
        float32=None,
        bad=(
            Bad("x", 1.5, r"x at \(0, 0\) is 1.5, allowed: 0 to 1"),
            Bad("x", 0.5, "clip_min is 2, allowed: below clip_max, 1", {"clip_min": 2.0}),
            Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),
        ),
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("pgd_ce", "trades", "mart", "vat")
