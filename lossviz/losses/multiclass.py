"""Losses between K scores or probabilities and a class."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
