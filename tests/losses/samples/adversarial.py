from dataclasses import replace
from typing import Any

import torch
from networks import classifier
from sampling import Bad, Inputs, Sample, Source, of


def _attacked(source: Source) -> Inputs:
    x = source.fractions(source.rows, 2)
    return {"model": classifier(source, features=2), "x": x, "target": source.labels(3, source.rows)}


def _directions(source: Source) -> Inputs:
    d0 = source.pick([-2.0, -1.0, 0.5, 1.0], source.rows, 2)
    return {"model": classifier(source, features=2), "x": source.reals(source.rows, 2), "d0": d0}


def _clean_and_attacked(source: Source) -> Inputs:
    logits = {name: source.reals(source.rows, 3) for name in ("clean", "adv")}
    return logits | {"target": source.labels(3, source.rows)}


def _saturated(dtype: torch.dtype) -> list[Inputs]:
    clean = of(dtype, [1000, -1000, 0], [1000, -1000, 0], [-1000, 0, 1000], [0, 0, 0])
    target = torch.tensor([0, 1, 2, 1])
    return [
        {"clean": clean, "adv": clean, "target": target},
        {"clean": clean, "adv": -clean, "target": target},
        {"clean": clean, "adv": torch.zeros_like(clean), "target": target},
    ]


def _permuted(inputs: Inputs, seed: int) -> Inputs:
    order = torch.randperm(inputs["clean"].shape[1], generator=torch.Generator().manual_seed(seed))
    logits = {name: inputs[name][:, order] for name in ("clean", "adv")}
    return logits | {"target": order.argsort()[inputs["target"]]}


ATTACK_ENDS: dict[str, list[Any]] = {"clip_min": [-10.0, -1.0], "clip_max": [1.5, 10.0]}
ATTACK = Sample(
    draw=_attacked,
    ends=ATTACK_ENDS,
    free_shape=("x",),
    # The attacked input is constant by definition, though it moves with the weights.
    difference=None,
    float32=None,
    bad=(
        Bad("x", 1.5, r"x at \(0, 0\) is 1.5, allowed: 0 to 1"),
        Bad("x", 0.5, "clip_min is 2, allowed: below clip_max, 1", {"clip_min": 2.0}),
        Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),
    ),
)
CLEAN_AND_ATTACKED = Sample(
    draw=_clean_and_attacked,
    bad=(Bad("target", 3, r"target at \(0,\) is 3, allowed: 0 to 2"),),
    extremes=_saturated,
    mirror=_permuted,
)

SAMPLES: dict[str, Sample] = {
    "fgsm_ce": ATTACK,
    "pgd_ce": replace(ATTACK, ends=ATTACK_ENDS | {"steps": [0, 50]}),
    "trades": CLEAN_AND_ATTACKED,
    "mart": CLEAN_AND_ATTACKED,
    # Further out the network is flat, and there is no direction.
    "vat": Sample(draw=_directions, reach=3.0, difference=None, float32=None),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
