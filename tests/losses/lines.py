"""What each line of a formula and of a derivation gives at fixed inputs, one number a line; run it to record them.

    python tests/losses/lines.py

The last line of each is proven against ``fn`` and autograd. Those before it are what a reader follows, and some lead to
no later line: without a record one of them could change unnoticed. Read a line beside its LaTeX before recording it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from loss_samples import coarse, draw, sample_of, settings
from sampling import Inputs
from torch import Tensor

from lossviz.losses import CATALOGUE, Loss
from lossviz.losses.entry import Line

RECORD = Path(__file__).with_suffix(".json")
ROWS = 5
SEEDS = (8, 9)


def recorded() -> dict[str, dict[str, float]]:
    """For each loss, the number of each line, by its LaTeX."""
    return json.loads(RECORD.read_text("utf-8"))


def numbers(loss: Loss) -> dict[str, float]:
    """The number of each line but the last of the formula and of the derivation, by its LaTeX."""
    return {line.latex: number(loss, line) for line in (*loss.formula[:-1], *loss.derivation[:-1])}


def number(loss: Loss, line: Line) -> float:
    """All that the line gives, for all settings of the parameters, in one sum whose weights tell places apart."""
    return float(f"{sum(weighted(line.value(**inputs, **params).detach()) for inputs, params in cases(loss)):.10g}")


def cases(loss: Loss) -> Iterator[tuple[Inputs, dict[str, Any]]]:
    """Random inputs, others full of ties, and those at the ends of the domain; with each setting of the parameters."""
    for params in settings(loss):
        for seed in SEEDS:
            yield draw(loss, ROWS, seed=seed, spread=0.3), params
            yield coarse(loss, ROWS, seed), params
        for inputs in sample_of(loss).extremes(torch.float64):
            yield inputs, params


def weighted(values: Tensor) -> float:
    """The sum of the values, each with a weight of its own; squashed, so that a million does not hide the others."""
    flat = values.double().flatten().asinh().nan_to_num(nan=777.0, posinf=999.0, neginf=-999.0)
    return float(flat @ torch.linspace(1, 2, len(flat), dtype=torch.float64))


if __name__ == "__main__":
    lines = [f"{json.dumps(loss.key)}: {json.dumps(numbers(loss))}" for loss in CATALOGUE]
    RECORD.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
