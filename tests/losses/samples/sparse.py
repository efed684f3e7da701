import math
from dataclasses import replace

import torch
from sampling import Bad, Inputs, Sample, Source, of


def _negated(inputs: Inputs, seed: int) -> Inputs:
    return {"w": -inputs["w"]}


def _shuffled(inputs: Inputs, seed: int) -> Inputs:
    losses = inputs["losses"]
    return {"losses": losses[torch.randperm(len(losses), generator=torch.Generator().manual_seed(seed))]}


def _several(source: Source) -> int:
    """Enough for the groups and the k below, and none where there are to be none."""
    return source.rows + 4 if source.rows else 0


def _activations(source: Source) -> Inputs:
    # Units of different habits; far from the ends, where one minus a number of float32 has few digits.
    logits = source.reals(1, 3) + source.reals(source.rows, 3)
    return {"activations": logits.clamp(-8, 8).sigmoid()}


WEIGHTS = Sample(
    draw=lambda s: {"w": s.reals(s.rows)},
    extremes=lambda d: [{"w": of(d, 1e6, -1e6, 0, 1e-30)}],
    mirror=_negated,
    spread=4.0,
    free_shape=("w",),
)

SAMPLES: dict[str, Sample] = {
    "l1_penalty": WEIGHTS,
    "l2_penalty": WEIGHTS,
    "elastic_net": WEIGHTS,
    "group_lasso": replace(
        WEIGHTS,
        draw=lambda s: {"w": s.reals(_several(s))},
        bad=(
            Bad("w", 0.5, "groups holds the index 9, allowed: 0 to 8", {"groups": [[0, 9]]}),
            Bad("w", 0.5, "groups holds the index 1 2 times, allowed: once at most", {"groups": [[0, 1], [1, 2]]}),
        ),
        extremes=lambda d: [{"w": of(d, 0, 0, 0, 0, 0)}, {"w": of(d, 1e6, 0, -1e6, 0, 1)}],
        ends={"groups": [[[0, 2], [1]], [[4], [3], [2, 1, 0]]]},
        rowwise=False,
        free_shape=(),
    ),
    "ohem_topk": Sample(
        draw=lambda s: {"losses": s.reals(_several(s))},
        bad=(Bad("losses", 0.5, "k is 10, allowed: 1 to 9, the number of losses", {"k": 10}),),
        extremes=lambda d: [{"losses": of(d, 0, 0, 0, 0, 0)}, {"losses": of(d, 1e6, -1e6, 0, 1, 2)}],
        ends={"k": [1, 5]},
        mirror=_shuffled,
        rowwise=False,
        lowest=-math.inf,
    ),
    "kl_sparsity": Sample(
        draw=_activations,
        bad=(
            Bad("activations", 1.5, r"activations at \(0, 0\) is 1.5, allowed: 0 to 1"),
            Bad("activations", -0.1, r"activations at \(0, 0\) is -0.1, allowed: 0 to 1"),
        ),
        extremes=lambda d: [{"activations": of(d, [1e-6, 1 - 1e-6, 0.0], [1e-6, 1 - 1e-6, 1.0])}],
        rowwise=False,
        mirror=lambda inputs, _: {"activations": 1 - inputs["activations"]},
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
