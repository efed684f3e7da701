"""The article's experiment through our engine against the ordinary loop; prints one JSON line.

    python -m benchmarks.training [--epochs 1] [--repeats 5] [--loss cross_entropy]
    python -m benchmarks.training --eight softmax|mlp|cnn [--batch-size 128]

Both ways run on one thread of the CPU, alternating (A B A B ...), training steps alone; ``ratio`` is the median over
the pairs of ours / theirs, so below 1 is faster. ``sample_share`` is the share of our time that the evaluations on the
test sample take, and ``recording_share`` that of measuring and storing points.

With ``--eight`` eight losses are trained in one run, against eight loops one after the other on tensors in memory, each
with PyTorch's cross-entropy, autograd and Adam: every loss of ours is compared to the one that PyTorch does quickest.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.baselines import article
from lossviz.models import NETWORKS
from lossviz.runs import LossChoice, RunSpec, Store
from lossviz.training import Dataset, Done, Points, train

EIGHT = (
    *("mse", "mae", "huber", "bce_with_logits"),
    *("cross_entropy", "softmax_focal", "hinge", "cosine_similarity"),
)


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
    parser.add_argument("--eight", choices=list(NETWORKS), help="eight losses on this network")
    parser.add_argument("--batch-size", type=int, default=128, help="of --eight")
    a = parser.parse_args()
    torch.set_num_threads(1)
    found = eight(a.eight, a.batch_size, a.epochs, a.repeats) if a.eight else one(a.loss, a.epochs, a.repeats)
    json.dump({**found, "repeats": a.repeats, "threads": torch.get_num_threads()}, sys.stdout)
    print()


def one(loss: str, epochs: int, repeats: int) -> dict[str, Any]:
    """The article's experiment with one loss."""
    x, y = article.tensors("train")
    data = Dataset.load(torch.device("cpu"))
    spec = RunSpec(losses=(LossChoice(loss, {}),), epochs=epochs)
    mine: list[Ours] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "runs.sqlite")
        for _ in range(repeats):
            mine.append(ours(spec, data, store))
            seconds, model = article.train(x, y, epochs)
            theirs.append(seconds)
        store.close()
    return {
        "benchmark": "training",
        "loss": loss,
        "epochs": epochs,
        **compared([our.seconds for our in mine], theirs),
        "sample_share": round(statistics.median(our.sample / our.seconds for our in mine), 4),
        "recording_share": round(statistics.median(our.recording / our.seconds for our in mine), 4),
        "test_accuracy": round(statistics.median(our.accuracy for our in mine), 4),
        "baseline_test_accuracy": round(article.accuracy(model, *article.tensors("test")), 4),
    }


def eight(model: str, batch_size: int, epochs: int, repeats: int) -> dict[str, Any]:
    """Eight losses in one run against eight loops one after the other."""
    x, y = article.tensors("train")
    data = Dataset.load(torch.device("cpu"))
    losses = [{"key": key} for key in EIGHT]
    spec = RunSpec.parse({"losses": losses, "model": model, "batch_size": batch_size, "epochs": epochs})
    mine: list[float] = []
    theirs: list[float] = []
    for _ in range(repeats):
        *_, done = train(spec, data)
        assert isinstance(done, Done)
        mine.append(done.seconds)
        networks = [NETWORKS[model].build(spec.seed) for _ in EIGHT]
        theirs.append(sum(article.preloaded(x, y, network, epochs, batch_size) for network in networks))
    settings = {"model": model, "batch_size": batch_size, "epochs": epochs}
    return {"benchmark": "eight_losses", **settings, **compared(mine, theirs)}


def compared(mine: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """The ratio of ours to theirs, pair by pair, and the medians of both."""
    ratios = sorted(our / their for our, their in zip(mine, theirs, strict=True))
    return {
        "ratio": round(statistics.median(ratios), 3),
        "ratio_low": round(ratios[0], 3),
        "ratio_high": round(ratios[-1], 3),
        "times_faster": round(1 / statistics.median(ratios), 2),
        "seconds": round(statistics.median(mine), 3),
        "baseline_seconds": round(statistics.median(theirs), 3),
    }


if __name__ == "__main__":
    main()
