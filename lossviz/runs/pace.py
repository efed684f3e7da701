"""How often a run reports, in steps: derived from a table of measured costs, never from a clock.

A point that falls on a step fixed by the spec makes the same spec give the same series, however busy the machine is.
"""

from dataclasses import dataclass

TARGET_MS = 12.0
"""Training time of one member between two of its reports, on the machine of the table.

Eight members then still report 10 times a second each. In practice it is half of that: the table knows the steps alone.
"""

SAMPLE_SHARE = 0.04
"""Share of the training time spent on the test sample; the promise is 5 %."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds on one core of a small machine, for one member of a run.

    Attributes:
        step: what every step costs, whatever the batch holds.
        image: what each image of a batch adds, forward and backward.
        sample: one evaluation of the sample of 1,000 test images.
    """

    step: float
    image: float
    sample: float


COSTS = {
    "softmax": Cost(step=0.16, image=0.0015, sample=1.9),
    "mlp": Cost(step=0.35, image=0.006, sample=3.5),
    "cnn": Cost(step=0.9, image=0.05, sample=24.0),
}
"""Measured with cross-entropy on one core, torch 2.13. A change moves the points of new runs; old specs keep theirs."""


def step_ms(model: str, batch_size: int) -> float:
    """Milliseconds of one step of one member on the machine of the table."""
    cost = COSTS[model]
    return cost.step + batch_size * cost.image


def record_every(model: str, batch_size: int) -> int:
    """Steps between two reports of train loss and gradient norm, at least 1.

    The number of members plays no part, here and below: another loss in the run must not move the points of the others.
    """
    return max(1, round(TARGET_MS / step_ms(model, batch_size)))


def evaluate_every(model: str, batch_size: int) -> int:
    """Steps between two evaluations of the test sample, at least 1."""
    return max(1, round(COSTS[model].sample / (SAMPLE_SHARE * step_ms(model, batch_size))))
