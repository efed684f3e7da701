"""Losses on inputs that were changed to fool the network."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
