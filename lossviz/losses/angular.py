"""Losses that put a margin on the angle between an embedding and its class's centre."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
