"""Losses of a critic and of the generator that it judges."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
