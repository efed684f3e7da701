"""The training engine: a generator of events. Whoever runs it stops it by not asking for the next one.

The members of a run are stacked and trained as one program, or as a few where that is faster. Those of one seed start
from the same weights and see the same batches; none touches another's numbers.
"""

import os
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager

import torch

from lossviz.runs import RunSpec
from lossviz.training.bridges import objective
from lossviz.training.data import SAMPLE, Dataset, pixels
from lossviz.training.events import TICK, Done, Event, Started
from lossviz.training.optimizers import learning_rates
from lossviz.training.stack import Stack, divide, told


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


def train(spec: RunSpec, data: Dataset, dtype: torch.dtype = torch.float32) -> Iterator[Event]:
    """Train every member of ``spec`` on ``data``, on the device where the data lie.

    Metrics, each at steps that the spec fixes: ``train_loss`` (mean over the steps since the last one) and
    ``grad_norm`` (of the step's gradient, before it is clipped) at step 1, every ``record_every`` steps and at the end;
    ``test_loss_sample`` and ``test_accuracy_sample`` on 1,000 test images every ``evaluate_every`` steps;
    ``test_loss`` and ``test_accuracy`` on all 10,000 at the end of each epoch. Accuracies are shares from 0 to 1,
    losses means over images.

    Raises:
        ValueError: a loss cannot be trained on, as ``validate`` says.
    """
    clock = _Clock(data.device)
    objectives = [objective(choice) for choice in spec.losses]
    blocks = divide(spec, data.device)
    stacks = [Stack(block, spec, objectives, data.device, dtype) for block in blocks]
    bridges = tuple(made.bridge.text for made in objectives)
    device, threads = device_name(data.device), torch.get_num_threads()
    yield Started(device, threads, spec.total_steps, bridges, told(blocks))

    sample = data.test_images[SAMPLE], data.test_labels[SAMPLE]
    seeds = range(spec.seed, spec.seed + spec.seeds)
    rate = learning_rates(spec.schedule, spec.learning_rate, spec.total_steps)
    clock.start()
    for step, (images, labels) in enumerate(data.batches(seeds, spec.batch_size, spec.epochs), start=1):
        due = step == 1 or step % spec.record_every == 0 or step == spec.total_steps
        inputs = pixels(images, dtype)
        for stack in [stack for stack in stacks if stack.alive]:
            stack.step(inputs, labels, rate(step - 1), measure=due)
            yield TICK
            if due:
                with clock.paused():
                    yield from stack.report(step)
        epoch_ends = step % spec.steps_per_epoch == 0
        if step % spec.evaluate_every == 0 or epoch_ends:
            with clock.paused():
                for stack in [stack for stack in stacks if stack.alive]:
                    if step % spec.evaluate_every == 0:
                        yield from stack.evaluate(step, *sample, suffix="_sample")
                    if epoch_ends:
                        yield from stack.evaluate(step, data.test_images, data.test_labels, suffix="")
        if not any(stack.alive for stack in stacks):
            break
    clock.stop()
    accuracies = {member: accuracy for stack in stacks for member, accuracy in stack.accuracies.items()}
    yield Done(tuple(accuracies.get(member) for member in range(len(spec.members()))), clock.seconds, clock.total)


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
