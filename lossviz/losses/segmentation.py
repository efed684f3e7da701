"""Losses between a probability map and a mask."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
