"""Losses between a probability or logit and a yes-or-no label."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
