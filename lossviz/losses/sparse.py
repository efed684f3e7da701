"""Penalties that push weights or activations to zero, and the choice of few samples."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
