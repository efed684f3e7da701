"""The article's experiment through our engine against the ordinary loop; prints one JSON line.

    python -m benchmarks.training [--epochs 1] [--repeats 5] [--loss cross_entropy]

Both ways run on one thread of the CPU, alternating (A B A B ...), training steps alone; ``ratio`` is the median over
the pairs of ours / theirs, so below 1 is faster. ``sample_share`` is the share of our time that the evaluations on the
test sample take, and ``recording_share`` that of measuring and storing points.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.baselines import article
from lossviz.runs import LossChoice, RunSpec, Store
from lossviz.training import Dataset, Done, Points, train


@dataclass
class Ours:
    """Seconds of one training through the engine: its steps, the sample's evaluations, storing; and its accuracy."""

    seconds: float
    sample: float
    recording: float
    accuracy: float


def ours(spec: RunSpec, data: Dataset, store: Store) -> Ours:
    """Train as the worker does, every point committed, and time the parts from outside by the gaps between events."""
    run = store.create(spec, "benchmark")
    sample = recording = 0.0
    before = last = time.perf_counter()
    for event in train(spec, data):
        now = time.perf_counter()
        if isinstance(event, Points):
            metric = event.points[0][2]
            if metric == "test_loss_sample":
                # The event before was the tick after the evaluation's only chunk.
                sample += now - before
            store.append(run.id, event.points)
            recording += time.perf_counter() - (last if metric == "train_loss" else now)
        if isinstance(event, Done):
            done = event
        before, last = last, time.perf_counter()
    return Ours(done.seconds, sample, recording, done.test_accuracy[0] or 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loss", default="cross_entropy")
    a = parser.parse_args()
    torch.set_num_threads(1)
    x, y = article.tensors("train")
    data = Dataset.load(torch.device("cpu"))
    spec = RunSpec(losses=(LossChoice(a.loss, {}),), epochs=a.epochs)
    mine: list[Ours] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs.sqlite")
        for _ in range(a.repeats):
            mine.append(ours(spec, data, store))
            seconds, model = article.train(x, y, a.epochs)
            theirs.append(seconds)
        store.close()
    ratios = sorted(our.seconds / their for our, their in zip(mine, theirs, strict=True))
    json.dump(
        {
            "benchmark": "training",
            "loss": a.loss,
            "epochs": a.epochs,
            "repeats": a.repeats,
            "ratio": round(statistics.median(ratios), 3),
            "ratio_low": round(ratios[0], 3),
            "ratio_high": round(ratios[-1], 3),
            "seconds": round(statistics.median(our.seconds for our in mine), 3),
            "baseline_seconds": round(statistics.median(theirs), 3),
            "sample_share": round(statistics.median(our.sample / our.seconds for our in mine), 4),
            "recording_share": round(statistics.median(our.recording / our.seconds for our in mine), 4),
            "test_accuracy": round(statistics.median(our.accuracy for our in mine), 4),
            "baseline_test_accuracy": round(article.accuracy(model, *article.tensors("test")), 4),
            "threads": torch.get_num_threads(),
        },
        sys.stdout,
    )
    print()


if __name__ == "__main__":
    main()
