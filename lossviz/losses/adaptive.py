"""Losses that tune their own shape or the weight of each sample."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
