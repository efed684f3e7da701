"""Losses between boxes."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
