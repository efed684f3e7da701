"""Losses between two views of the same samples."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
