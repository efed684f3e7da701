"""Divergences between two distributions over K classes."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
