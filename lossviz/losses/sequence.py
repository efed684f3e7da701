"""Losses between sequences of scores and sequences of labels."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
