"""Losses whose probabilities can be exactly zero."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
