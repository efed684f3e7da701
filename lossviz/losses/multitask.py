"""Ways to combine the losses or gradients of several tasks."""

from lossviz.losses.entry import Loss

LOSSES: tuple[Loss, ...] = ()
