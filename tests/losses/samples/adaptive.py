from dataclasses import replace

from sampling import REGRESSION, Bad, Inputs, Sample, Source, of
from torch import Tensor


def _shape(source: Source) -> Tensor:
    # Off both ends: there the general formula, the independent check, divides by 0.
    return 0.01 + 1.98 * source.fractions()


def _as_easy_as_hard(inputs: Inputs, seed: int) -> Inputs:
    # Losses above the default of tau become losses as far below it.
    return {"losses": 2 - inputs["losses"]}


SAMPLES: dict[str, Sample] = {
    "barron_adaptive": replace(
        REGRESSION,
        draw=lambda s: REGRESSION.draw(s) | {"alpha": _shape(s), "c": 0.1 + 10 * s.fractions()},
        bad=(
            Bad("alpha", -0.5, "alpha is -0.5, allowed: 0 to 2"),
            Bad("alpha", 2.5, "alpha is 2.5, allowed: 0 to 2"),
            Bad("c", 0.0, "c is 0, allowed: finite numbers above 0"),
        ),
        extremes=lambda d: [
            inputs | {"alpha": of(d, alpha)[0], "c": of(d, c)[0]}
            for inputs in REGRESSION.extremes(d)
            for alpha in (0.0, 1.0, 2.0)
            for c in (0.01, 100.0)
        ],
        axis={"alpha": None, "c": None},
        lowest=float("-inf"),
    ),
    "superloss": Sample(
        draw=lambda s: {"losses": s.reals(s.rows)},
        extremes=lambda d: [{"losses": of(d, -1e6, 0, 1, 1e6)}],
        mirror=_as_easy_as_hard,
        lowest=float("-inf"),
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
