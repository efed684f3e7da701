import math

import torch
from sampling import Bad, Inputs, Sample, Source, of


def _progress(source: Source) -> Inputs:
    names = ("losses", "initial_losses", "grad_norms", "weights")
    return {name: source.positive(source.rows) for name in names}


def _history(source: Source) -> Inputs:
    # Losses change by a small factor from one epoch to the next.
    epochs = {name: 0.5 + source.fractions(source.rows) for name in ("prev1", "prev2")}
    return {"losses": source.reals(source.rows)} | epochs


def _permuted(inputs: Inputs, seed: int) -> Inputs:
    order = torch.randperm(len(inputs["losses"]), generator=torch.Generator().manual_seed(seed))
    return {name: tensor[order] for name, tensor in inputs.items()}


SAMPLES: dict[str, Sample] = {
    "weighted_sum": Sample(
        draw=lambda s: {"losses": s.reals(s.rows), "weights": s.nonnegative(s.rows)},
        bad=(Bad("weights", -1.0, r"weights at \(0,\) is -1, allowed: 0 or more"),),
        extremes=lambda d: [{"losses": of(d, 1e6, -1e6, 1e-6, 1), "weights": of(d, 1e-6, 1e6, 1e6, 0)}],
        lowest=-math.inf,
        mirror=_permuted,
        moves_rows=True,
    ),
    "uncertainty_weighting": Sample(
        draw=lambda s: {"losses": s.reals(s.rows), "log_var": s.reals(s.rows).clamp(-20, 20)},
        bad=(Bad("log_var", -51.0, r"log_var at \(0,\) is -51, allowed: -50 to 50"),),
        extremes=lambda d: [{"losses": of(d, 1e6, 1e6, 0, 1), "log_var": of(d, -50, 50, -50, 0)}],
        lowest=-math.inf,
        mirror=_permuted,
        moves_rows=True,
    ),
    "gradnorm": Sample(
        draw=_progress,
        bad=(
            Bad("losses", 0.0, r"losses at \(0,\) is 0, allowed: finite numbers above 0"),
            Bad("initial_losses", 0.0, r"initial_losses at \(0,\) is 0, allowed: finite numbers above 0"),
            Bad("grad_norms", -1.0, r"grad_norms at \(0,\) is -1, allowed: 0 or more"),
            Bad("weights", -1.0, r"weights at \(0,\) is -1, allowed: 0 or more"),
        ),
        rowwise=False,
        mirror=_permuted,
        # The target is constant by definition, though it holds the weights.
        difference=None,
    ),
    "pcgrad": Sample(draw=lambda s: {"grads": s.reals(s.rows, 3)}, rowwise=False),
    "mgda": Sample(
        draw=lambda s: {"grads": s.reals(s.rows, 3)},
        rowwise=False,
        # More tasks than dimensions: other weights may do as well, and rounding decides.
        float32=None,
        unbatched="the rounds of the search depend on the gradients",
    ),
    "dwa": Sample(
        draw=_history,
        bad=(
            Bad("prev1", -1.0, r"prev1 at \(0,\) is -1, allowed: 0 or more"),
            Bad("prev2", 0.0, r"prev2 at \(0,\) is 0, allowed: finite numbers above 0"),
        ),
        extremes=lambda d: [{"losses": of(d, 1e6, 1, -1), "prev1": of(d, 1, 0, 1e3), "prev2": of(d, 1e-6, 1, 1)}],
        rowwise=False,
        lowest=-math.inf,
        mirror=_permuted,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
