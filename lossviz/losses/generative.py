"""Losses of networks that give their input back."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
