"""The training engine: a generator of events. Whoever runs it stops it by not asking for the next one.

The members of a run (one for each loss) start from the same weights and see the same batches, one after the other; none
touches another's numbers, so a member's series is the same bit for bit whatever else is in the run.
"""

import math
import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from lossviz.models import NETWORKS
from lossviz.runs import Measured, RunSpec
from lossviz.training.backward import Weights, backward
from lossviz.training.bridges import Objective, objective
from lossviz.training.data import SAMPLE, Dataset, pixels
from lossviz.training.optimizers import optimizer

EVALUATION_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: what the run uses, and one sentence a member on how its loss is joined to the network."""

    device: str
    threads: int
    total_steps: int
    bridges: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Points:
    """Numbers of one member at one step."""

    points: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Diverged:
    """A member stopped because its loss is no longer a number; the others go on."""

    member: int
    step: int
    message: str


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing to tell: a chance to stop between two pieces of work."""


@dataclass(frozen=True, slots=True)
class Done:
    """The last event.

    Attributes:
        test_accuracy: share of the 10,000 test images that each member reads right; ``None`` where it diverged.
        seconds: training steps alone.
        total_seconds: with evaluation and with whatever was done about the events.
    """

    test_accuracy: tuple[float | None, ...]
    seconds: float
    total_seconds: float


Event = Started | Points | Diverged | Tick | Done
TICK = Tick()


def choose_device() -> torch.device:
    """CUDA if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def chosen_threads() -> int:
    """How many threads training uses on a CPU: LOSSVIZ_THREADS, else 1.

    One, because a second one gains little on networks this small and can cost many times as much on a busy machine.

    Raises:
        ValueError: the variable is no whole number from 1 to 256.
    """
    wanted = os.environ.get("LOSSVIZ_THREADS") or "1"
    if not wanted.isdecimal() or not 1 <= int(wanted) <= 256:
        raise ValueError(f"LOSSVIZ_THREADS is {wanted[:40]!r}; it must be a whole number from 1 to 256")
    return int(wanted)


def device_name(device: torch.device) -> str:
    """The device for people: ``CPU, 1 thread`` or the graphics card's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def train(spec: RunSpec, data: Dataset) -> Iterator[Event]:
    """Train every loss of ``spec`` on ``data``, on the device where the data lie.

    Metrics, each at steps that the spec fixes: ``train_loss`` (mean over the steps since the last one) and
    ``grad_norm`` (of the step's gradient) at step 1, every ``record_every`` steps and at the end; ``test_loss_sample``
    and ``test_accuracy_sample`` on 1,000 test images every ``evaluate_every`` steps; ``test_loss`` and
    ``test_accuracy`` on all 10,000 at the end of each epoch. Accuracies are shares from 0 to 1, losses means over
    images.

    Raises:
        ValueError: a loss cannot be trained on, as ``validate`` says.
    """
    clock = _Clock(data.device)
    objectives = [objective(choice) for choice in spec.losses]
    members = [_Member(place, spec, made, data.device) for place, made in enumerate(objectives)]
    bridges = tuple(made.bridge.text for made in objectives)
    yield Started(device_name(data.device), torch.get_num_threads(), spec.total_steps, bridges)

    sample = data.test_images[SAMPLE], data.test_labels[SAMPLE]
    clock.start()
    for step, (images, labels) in enumerate(_batches(spec, data), start=1):
        due = step == 1 or step % spec.record_every == 0 or step == spec.total_steps
        for member in [member for member in members if member.alive]:
            member.step(images, labels, measure=due)
            yield TICK
            if due:
                with clock.paused():
                    yield from member.report(step)
        epoch_ends = step % spec.steps_per_epoch == 0
        if step % spec.evaluate_every == 0 or epoch_ends:
            with clock.paused():
                for member in [member for member in members if member.alive]:
                    if step % spec.evaluate_every == 0:
                        yield from member.evaluate(step, *sample, suffix="_sample")
                    if epoch_ends:
                        yield from member.evaluate(step, data.test_images, data.test_labels, suffix="")
        if not any(member.alive for member in members):
            break
    clock.stop()
    yield Done(tuple(member.accuracy for member in members), clock.seconds, clock.total)


def _batches(spec: RunSpec, data: Dataset) -> Iterator[tuple[Tensor, Tensor]]:
    # Drawn on the CPU, so that the order is the same on every device.
    generator = torch.Generator().manual_seed(spec.seed)
    for _ in range(spec.epochs):
        order = torch.randperm(len(data.labels), generator=generator).to(data.device)
        images, labels = data.images.index_select(0, order), data.labels.index_select(0, order)
        for start in range(0, len(order), spec.batch_size):
            stop = start + spec.batch_size
            yield pixels(images[start:stop]), labels[start:stop]


class _Member:
    """One loss of a run with its own network and optimiser."""

    def __init__(self, place: int, spec: RunSpec, made: Objective, device: torch.device) -> None:
        self.place = place
        self.name = spec.labels()[place]
        self.objective = made
        self.network = NETWORKS[spec.model].build(spec.seed).to(device)
        self.weights = Weights(self.network)
        self.backward = backward(self.network, self.weights)
        self.update = optimizer(spec.optimizer, self.weights, spec.learning_rate)
        self.alive = True
        self.accuracy: float | None = None
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._norm = torch.zeros(())

    def step(self, images: Tensor, labels: Tensor, measure: bool) -> None:
        """One step of the optimiser; ``measure`` keeps its gradient's norm for the report."""
        logits = self.backward.logits(images)
        self._seen.append((logits, labels))
        self.backward.fill(self.objective.gradient(logits, labels).div_(len(labels)))
        if measure:
            self._norm = torch.linalg.vector_norm(self.weights.gradient, dtype=torch.float64)
        self.update()

    def report(self, step: int) -> Iterator[Event]:
        """The mean loss since the last report and the gradient norm; or the end, where the loss is not finite.

        The step needs only the loss's gradient: its value is computed here, for all steps since the last report at
        once.
        """
        logits, labels = (torch.cat(parts) for parts in zip(*self._seen, strict=True))
        sizes = [len(part) for _, part in self._seen]
        self._seen.clear()
        values = self.objective.values(logits, labels).double()
        mean = values.mean().item()
        if math.isfinite(mean):
            norm = self._norm.item()
            yield Points(((self.place, step, "train_loss", mean), (self.place, step, "grad_norm", norm)))
            return
        losses = [part.mean().item() for part in values.split(sizes)]
        place = next(place for place, loss in enumerate(losses) if not math.isfinite(loss))
        yield self._end(step - len(sizes) + 1 + place, losses[place])

    def _end(self, step: int, loss: float) -> Diverged:
        self.alive, self.accuracy = False, None
        word = "not a number (NaN)" if math.isnan(loss) else "infinite"
        message = f"{self.name} stopped at step {step:,}: its training loss became {word}."
        return Diverged(self.place, step, message)

    def evaluate(self, step: int, images: Tensor, labels: Tensor, suffix: str) -> Iterator[Event]:
        """Loss and accuracy on test images, in chunks, so that a stop need not wait for all of them."""
        if not self.weights.values.isfinite().all():
            # The next report ends this member and names the step; what its network says until then is no measurement.
            return
        total, right = 0.0, 0
        for start in range(0, len(labels), EVALUATION_CHUNK):
            part, truth = images[start : start + EVALUATION_CHUNK], labels[start : start + EVALUATION_CHUNK]
            with torch.no_grad():
                logits = self.network(pixels(part))
                total += self.objective.values(logits, truth).double().sum().item()
                right += int((logits.argmax(-1) == truth).sum().item())
            yield TICK
        accuracy = right / len(labels)
        if not suffix:
            self.accuracy = accuracy
        yield Points(
            (
                (self.place, step, "test_loss" + suffix, total / len(labels)),
                (self.place, step, "test_accuracy" + suffix, accuracy),
            )
        )


class _Clock:
    """Seconds of training, apart from everything else; waits for the device before it reads the time."""

    def __init__(self, device: torch.device) -> None:
        self.seconds = 0.0
        self._device = device
        self._made = self._mark = time.perf_counter()

    @property
    def total(self) -> float:
        return time.perf_counter() - self._made

    def start(self) -> None:
        self._mark = time.perf_counter()

    def stop(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.seconds += time.perf_counter() - self._mark

    @contextmanager
    def paused(self) -> Generator[None]:
        self.stop()
        yield
        self.start()
