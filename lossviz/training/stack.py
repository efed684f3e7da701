"""Members of a run that are trained as one program: a block of seeds times losses."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lossviz.models import CLASSES, NETWORKS
from lossviz.runs import Measured, RunSpec
from lossviz.training.backward import Weights, program
from lossviz.training.bridges import Objective
from lossviz.training.data import pixels
from lossviz.training.events import TICK, Diverged, Event, Points
from lossviz.training.optimizers import optimizer

EVALUATION_CHUNK = 1_000

CONVOLVED_TOGETHER = 4
CONVOLVED_IMAGES = 512
"""How many small CNNs go through a CPU together, and how many images of all of them.

Measured on one thread: up to there a step in groups takes half to nine tenths of the time of one network after the
other; beyond, what passes between the layers no longer fits the cache and it takes longer.
"""


@dataclass(frozen=True, slots=True)
class Block:
    """Which members are trained together, by their places among the spec's seeds and losses."""

    seeds: range
    losses: range

    def __len__(self) -> int:
        """How many members that is."""
        return len(self.seeds) * len(self.losses)


def divide(spec: RunSpec, device: torch.device) -> list[Block]:
    """Divide all members into the blocks that are trained fastest."""
    most = spec.seeds * len(spec.losses)
    if spec.model == "cnn" and device.type == "cpu":
        most = max(1, min(CONVOLVED_TOGETHER, CONVOLVED_IMAGES // spec.batch_size))
    losses = _parts(len(spec.losses), most)
    seeds = _parts(spec.seeds, max(1, most // len(losses[0])))
    return [Block(some, others) for some in seeds for others in losses]


def _parts(count: int, most: int) -> list[range]:
    """``range(count)`` in as few pieces as ``most`` allows, as equal as can be."""
    pieces = math.ceil(count / most)
    bounds = [math.ceil(count * piece / pieces) for piece in range(pieces + 1)]
    return [range(start, stop) for start, stop in itertools.pairwise(bounds)]


def told(blocks: Sequence[Block]) -> str:
    """One sentence on how the members are trained together; empty for a single one."""
    members, largest = sum(map(len, blocks)), max(map(len, blocks))
    if members == 1:
        return ""
    if len(blocks) == 1:
        return f"The {members} networks are trained as one program."
    if largest == 1:
        return f"The {members} networks are trained one after the other, step by step: together they would be slower."
    return f"The {members} networks are trained in {len(blocks)} programs of up to {largest}: fewer would be slower."


class Stack:
    """The networks of a block, with their optimiser. Within the block, tensors have the losses first, then the seeds.

    Attributes:
        alive: whether any member is still training.
        accuracies: by member, share of all test images read right; without those that diverged.
    """

    def __init__(
        self, block: Block, spec: RunSpec, objectives: Sequence[Objective], device: torch.device, dtype: torch.dtype
    ) -> None:
        self.accuracies: dict[int, float] = {}
        self._objectives = [objectives[place] for place in block.losses]
        self._seeds = slice(block.seeds.start, block.seeds.stop)
        self._whole = len(block.seeds) == spec.seeds
        self._names = [member.name for member in spec.members()]
        self._members = [[seed * len(spec.losses) + place for seed in block.seeds] for place in block.losses]
        self._training = {member for members in self._members for member in members}
        shape = len(block.seeds), len(block.losses)
        build = NETWORKS[spec.model].build
        networks = [build(spec.seed + seed).to(device, dtype) for seed in block.seeds]
        self._shape = shape
        self._weights = Weights(networks, len(block.losses))
        self._program = program(networks[0], self._weights, *shape)
        self._update = optimizer(spec.optimizer, self._weights, spec.weight_decay)
        self._clip = spec.clip
        self._dtype = dtype
        # What has ended stays in the stack without a gradient, so that the others' numbers do not change by a bit.
        self._learning: list[Objective | None] = list(self._objectives)
        self._seen: list[tuple[list[Tensor], Tensor]] = []
        self._norms = torch.zeros(())

    @property
    def alive(self) -> bool:
        """Whether any member is still training."""
        return bool(self._training)

    def step(self, images: Tensor, labels: Tensor, rate: float, measure: bool) -> None:
        """One step of the optimiser on every seed's batch; ``measure`` keeps the gradients' norms for the report."""
        if not self._whole:
            images, labels = images[self._seeds], labels[self._seeds]
        logits = self._program.logits(images)
        labels = labels.reshape(-1)
        self._seen.append((logits, labels))
        self._program.fill(
            [made and made.gradient(part, labels) for made, part in zip(self._learning, logits, strict=True)]
        )
        if measure:
            self._norms = self._weights.norms()
        if self._clip:
            self._weights.shorten(self._clip)
        self._update(rate)

    def report(self, step: int) -> Iterator[Event]:
        """The mean losses since the last report and the gradient norms; or the end, where a loss is not finite.

        The step needs only the loss's gradient: its value is computed here, for all steps since the last report at
        once.
        """
        labels = self._joined([labels for _, labels in self._seen])
        each = [self._joined(list(parts)) for parts in zip(*(parts for parts, _ in self._seen), strict=True)]
        sizes = [len(labels) // self._shape[0] for _, labels in self._seen]
        self._seen.clear()
        norms = self._norms.view(self._shape).t().tolist()
        points: list[Measured] = []
        ends: list[Diverged] = []
        for place, members in enumerate(self._members):
            values = self._values(place, each[place], labels).double()
            for member, losses, mean, norm, seen in zip(
                members, values, values.mean(1).tolist(), norms[place], each[place], strict=True
            ):
                if member not in self._training:
                    continue
                if math.isfinite(mean):
                    points += [(member, step, "train_loss", mean), (member, step, "grad_norm", norm)]
                else:
                    ends.append(self._end(member, step - len(sizes) + 1, losses.split(sizes), seen.split(sizes)))
        if points:
            yield Points(tuple(points))
        yield from ends

    def _joined(self, steps: list[Tensor]) -> Tensor:
        """The rows of several steps, of each seed one after the other: ``(S, N, ...)``."""
        seeds, _ = self._shape
        if seeds == 1:
            return torch.cat(steps).unsqueeze(0)
        return torch.cat([step.view(seeds, -1, *step.shape[1:]) for step in steps], 1)

    def _values(self, place: int, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of every image, ``(S, N)``, from the logits ``(S, N, 10)`` of the loss at ``place``."""
        values = self._objectives[place].values(logits.reshape(-1, CLASSES), labels.reshape(-1))
        return values.view(logits.shape[:2])

    def _end(self, member: int, first: int, losses: Sequence[Tensor], logits: Sequence[Tensor]) -> Diverged:
        self._training.discard(member)
        self._learning = [
            None if self._training.isdisjoint(members) else made
            for made, members in zip(self._learning, self._members, strict=True)
        ]
        self.accuracies.pop(member, None)
        means = [part.mean().item() for part in losses]
        place = next(place for place, loss in enumerate(means) if not math.isfinite(loss))
        word = "not a number (NaN)" if math.isnan(means[place]) else "infinite"
        where = "the loss itself" if logits[place].isfinite().all() else "the network's logits"
        message = (
            f"{self._names[member]} stopped at step {first + place:,}: its training loss became {word}; "
            f"what was first not finite is {where}."
        )
        return Diverged(member, first + place, message)

    def evaluate(self, step: int, images: Tensor, labels: Tensor, suffix: str) -> Iterator[Event]:
        """Loss and accuracy on test images, in chunks, so that a stop need not wait for all of them."""
        seeds, losses = self._shape
        totals = torch.zeros(losses, seeds, dtype=torch.float64, device=labels.device)
        right = torch.zeros(losses, seeds, dtype=torch.int64, device=labels.device)
        for part, truth in zip(images.split(EVALUATION_CHUNK), labels.split(EVALUATION_CHUNK), strict=True):
            shown = truth.expand(seeds, -1)
            with torch.no_grad():
                logits = self._program.logits(pixels(part, self._dtype).expand(seeds, -1, -1))
                for place, each in enumerate(logits):
                    each = each.view(seeds, -1, CLASSES)
                    totals[place] += self._values(place, each, shown).double().sum(1)
                    right[place] += (each.argmax(-1) == shown).sum(-1)
            yield TICK
        # The next report ends a member whose weights are not finite and names the step; what its network says until
        # then is no measurement.
        finite = self._weights.finite().view(seeds, losses).t().tolist()
        points: list[Measured] = []
        for place, members in enumerate(self._members):
            for seed, member in enumerate(members):
                if member in self._training and finite[place][seed]:
                    accuracy = int(right[place, seed]) / len(labels)
                    if not suffix:
                        self.accuracies[member] = accuracy
                    points.append((member, step, "test_loss" + suffix, totals[place, seed].item() / len(labels)))
                    points.append((member, step, "test_accuracy" + suffix, accuracy))
        if points:
            yield Points(tuple(points))
