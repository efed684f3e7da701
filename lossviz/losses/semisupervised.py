"""Losses that need no label: the network's own answers are the target."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
