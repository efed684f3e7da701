"""Losses between a number and its label that come from a distribution, or that count relative errors."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
