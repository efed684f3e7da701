"""Losses between K logits and a class that wrong labels mislead less."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
