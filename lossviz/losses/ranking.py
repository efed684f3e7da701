"""Losses between scores and the order that they should give."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
