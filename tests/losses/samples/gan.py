import math
from dataclasses import replace

import torch
from networks import critic
from sampling import Bad, Inputs, Sample, Source, of


def _extremes(dtype: torch.dtype) -> list[Inputs]:
    return [{"real": of(dtype, 1000, -1000, 0, 1000, -1000), "fake": of(dtype, -1000, 1000, 0, 1000, -1000)}]


def _exchanged(inputs: Inputs, seed: int) -> Inputs:
    return {"real": -inputs["fake"], "fake": -inputs["real"]}


def _exchanged_about_a_half(inputs: Inputs, seed: int) -> Inputs:
    return {"real": 1 - inputs["fake"], "fake": 1 - inputs["real"]}


def _other_end(inputs: Inputs, seed: int) -> Inputs:
    return inputs | {"real": inputs["fake"], "fake": inputs["real"], "eps": 1 - inputs["eps"]}


def _between(source: Source) -> Inputs:
    return {
        "model": critic(source, features=2),
        "real": source.reals(source.rows, 2),
        "fake": source.reals(source.rows, 2),
        "eps": source.fractions(source.rows),
    }


SCORES = Sample(
    draw=lambda s: {"real": s.reals(s.rows), "fake": s.reals(s.rows)},
    extremes=_extremes,
    mirror=_exchanged,
)

SAMPLES: dict[str, Sample] = {
    "gan_minimax": replace(SCORES, lowest=-math.inf),
    "gan_nonsaturating": SCORES,
    "lsgan": replace(SCORES, mirror=_exchanged_about_a_half),
    # Kinks at -1 and 1: near them slopes change fast only within a short move.
    "gan_hinge": replace(SCORES, lowest=-math.inf, spread=1.0),
    "wgan": replace(SCORES, lowest=-math.inf),
    "gan_relativistic": replace(SCORES, rowwise=False),
    "gradient_penalty": Sample(
        draw=_between,
        mirror=_other_end,
        bad=(
            Bad("eps", 1.5, r"eps at \(0,\) is 1.5, allowed: 0 to 1"),
            Bad("eps", -0.1, r"eps at \(0,\) is -0.1, allowed: 0 to 1"),
        ),
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
