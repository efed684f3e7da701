"""Training: bridges from a network's output to a loss, and the engine, a generator of events without processes."""

from lossviz.training.bridges import BRIDGES, Bridge, Objective, bridge_to, loss_of, objective, offered, validate
from lossviz.training.data import Dataset
from lossviz.training.engine import choose_device, chosen_threads, device_name, train
from lossviz.training.events import Diverged, Done, Event, Points, Started, Tick

__all__ = [
    "BRIDGES",
    "Bridge",
    "Dataset",
    "Diverged",
    "Done",
    "Event",
    "Objective",
    "Points",
    "Started",
    "Tick",
    "bridge_to",
    "choose_device",
    "chosen_threads",
    "device_name",
    "loss_of",
    "objective",
    "offered",
    "train",
    "validate",
]
