"""What the catalogue costs beside torch: importing it, and calling a loss through it; prints one JSON line.

    python -m benchmarks.catalogue [--imports 5] [--repeats 25] [--worst 5] [--only KEY ...]

``import_seconds`` is what ``import lossviz.losses`` takes on top of ``import torch``, the median over fresh processes;
``import_cpu_seconds`` is its processor time, the same on a busy machine.
For each loss, ``value_and_grad`` on 1,000 samples is timed against the bare call that it wraps: ``fn``, ``reduce``,
``torch.autograd.grad``, on inputs that already require gradients; alternating (A B A B ...), on one thread of the CPU,
by processor time.
``ratio`` is the median over the pairs of ours / bare, and ``worst`` lists the largest with both times in microseconds.

The samples are the explorer's example of each loss, repeated to 1,000 along the axis that counts samples.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lossviz.losses import CATALOGUE, Loss, get, value_and_grad
from lossviz.scenes.slices import example

SAMPLES = 1000
SECONDS_A_LOSS = 2.0
IMPORT = """
import time, torch
wall, cpu = time.perf_counter(), time.process_time()
import lossviz.losses
print(time.perf_counter() - wall, time.process_time() - cpu)
"""
# The axis that counts samples, where it is not the first; None for what all samples share.
AXES: dict[str, int | None] = {
    **{name: None for name in ("alpha", "c", "centers", "proxies", "weight")},
    **{name: 1 for name in ("peers", "grads")},
}


@dataclass(frozen=True)
class Times:
    """Median microseconds of a call through the catalogue and of the bare one, and the median of their ratios."""

    ours: float
    bare: float
    ratio: float


def import_seconds(times: int) -> tuple[float, float]:
    """How long the catalogue's own import takes, by the clock and of the processor."""
    found = [subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, check=True) for _ in range(times)]
    wall, cpu = zip(*(map(float, process.stdout.split()) for process in found), strict=True)
    return statistics.median(wall), statistics.median(cpu)


def samples_of(loss: Loss) -> dict[str, Any]:
    """The example's inputs, repeated to 1,000 samples."""
    return {name: repeated(name, value) for name, value in example(loss).items()}


def repeated(name: str, value: Any) -> Any:
    """An input repeated along the axis that counts samples."""
    axis = AXES.get(name, 0)
    if axis is None or not isinstance(value, Tensor):
        return value
    times = [1] * value.ndim
    times[axis] = -(-SAMPLES // value.shape[axis])
    return value.repeat(times).narrow(axis, 0, SAMPLES).contiguous()


def bare_call(loss: Loss, inputs: dict[str, Any]) -> Callable[[], object]:
    """The call that anyone would write who has the loss's function."""
    params = loss.resolve()
    leaves = [inputs[name].requires_grad_() for name in loss.differentiable]
    leaves += [weight for name in loss.models for weight in weights_of(inputs[name])]

    def call() -> object:
        value = loss.reduce(loss.fn(**inputs, **params), inputs, params)
        return torch.autograd.grad(value, leaves, allow_unused=True) if value.requires_grad else value

    return call


def weights_of(model: object) -> list[nn.Parameter]:
    """The network's weights."""
    return list(model.parameters()) if isinstance(model, nn.Module) else []


def times_of(loss: Loss, repeats: int) -> Times:
    """Time both ways in turn, until there are enough pairs or the loss has had its time."""
    inputs = samples_of(loss)
    calls = [lambda: value_and_grad(loss, inputs), bare_call(loss, samples_of(loss))]
    for call in calls:
        call()
    pairs: list[list[float]] = []
    began = time.perf_counter()
    while len(pairs) < repeats and (len(pairs) < 3 or time.perf_counter() - began < SECONDS_A_LOSS):
        pairs.append([seconds(call) for call in calls])
    ours, bare = (statistics.median(column) * 1e6 for column in zip(*pairs, strict=True))
    return Times(ours, bare, statistics.median(a / b for a, b in pairs))


def seconds(call: Callable[[], object]) -> float:
    """Processor time of one call: on one thread it is what the clock shows, less what other processes take."""
    began = time.process_time()
    call()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imports", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--worst", type=int, default=5)
    parser.add_argument("--only", nargs="*", default=[], metavar="KEY")
    a = parser.parse_args()
    torch.set_num_threads(1)
    losses = [get(key) for key in a.only] or CATALOGUE
    times = {loss.key: times_of(loss, a.repeats) for loss in losses}
    wall, cpu = import_seconds(a.imports)
    worst = sorted(times, key=lambda key: -times[key].ratio)[: a.worst]
    print(
        json.dumps(
            {
                "benchmark": "catalogue",
                "losses": len(times),
                "samples": SAMPLES,
                "import_seconds": round(wall, 3),
                "import_cpu_seconds": round(cpu, 3),
                "ratio": round(times[worst[0]].ratio, 2),
                "median_ratio": round(statistics.median(each.ratio for each in times.values()), 2),
                "worst": {
                    key: [round(times[key].ratio, 2), round(times[key].ours), round(times[key].bare)] for key in worst
                },
                "threads": torch.get_num_threads(),
            }
        )
    )


if __name__ == "__main__":
    main()
