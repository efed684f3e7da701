"""Losses of networks that learn from one another."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
