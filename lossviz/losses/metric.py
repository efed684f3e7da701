"""Losses that arrange embeddings by class: pairs, triplets, all pairs of a batch, centres."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
