"""Losses between a number and its label that outliers cannot drag away, and their relatives."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
