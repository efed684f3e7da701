"""Losses that ask a score to win by a margin."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
