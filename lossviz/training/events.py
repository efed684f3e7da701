"""What the engine tells: one dataclass for each kind of event."""

from dataclasses import dataclass

from lossviz.runs import Measured


@dataclass(frozen=True, slots=True)
class Started:
    """The first event: what the run uses.

    Attributes:
        device: for people.
        threads: of the CPU.
        total_steps: of each member.
        bridges: one sentence for each loss on how it is joined to the network.
        way: one sentence on how the members are trained together; empty for a single one.
    """

    device: str
    threads: int
    total_steps: int
    bridges: tuple[str, ...]
    way: str


@dataclass(frozen=True, slots=True)
class Points:
    """Numbers of some members at one step."""

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
