import torch
from sampling import Bad, Inputs, Sample, Source, of
from torch import Tensor

CLASSES, FRAMES, LABELS = 3, 4, 2


def _renamed(inputs: Inputs, seed: int) -> Inputs:
    """The classes in another order, except for class 0, the padding or the blank."""
    order = torch.cat([torch.zeros(1, dtype=torch.int64), torch.arange(CLASSES - 1, 0, -1)])
    return inputs | {"pred": inputs["pred"][..., order], "target": order.argsort()[inputs["target"]]}


def _shares() -> Tensor:
    steps = torch.cartesian_prod(*[torch.arange(1, 100, dtype=torch.float64)] * CLASSES)
    return (steps[steps.sum(-1) == 100] / 100).log()[:, None]


def _tokens(source: Source) -> Inputs:
    # Padding is token 0; the first token of each sequence is real, so that no batch is all padding.
    first = 1 + source.labels(CLASSES - 1, source.rows, 1)
    rest = source.labels(CLASSES, source.rows, 2)
    return {"pred": source.reals(source.rows, 3, CLASSES), "target": torch.cat([first, rest], 1)}


def _token_extremes(dtype: torch.dtype) -> list[Inputs]:
    logits = of(dtype, [1000, -1000, 0], [-1000, -1000, 1000], [0, 0, 0])
    return [{"pred": torch.stack([logits, logits]), "target": torch.tensor([[1, 2, 1], [2, 0, 0]])}]


TOKENS = Sample(
    draw=_tokens,
    bad=(
        Bad("target", 3, r"target at \(0, 0\) is 3, allowed: 0 to 2, or 0 where padded"),
        Bad("target", -1, r"target at \(0, 0\) is -1, allowed: 0 to 2, or 255 where padded", {"pad_index": 255}),
    ),
    extremes=_token_extremes,
    rowwise=False,
    mirror=_renamed,
    grid=_shares,
)


def _lengths(source: Source) -> Inputs:
    # The first sequence has a label, for the tests that spoil it; three frames are enough for two equal labels.
    labels = torch.cat([1 + source.labels(2, source.rows)[:1], source.labels(3, source.rows)[1:]])
    return {
        "target": 1 + source.labels(CLASSES - 1, source.rows, LABELS),
        "input_lengths": FRAMES - source.labels(2, source.rows),
        "target_lengths": labels,
    }


def _without_labels(dtype: torch.dtype, *labels: int) -> Inputs:
    lengths = {"input_lengths": torch.tensor([FRAMES, 1]), "target_lengths": torch.tensor([0, 0])}
    no_labels = torch.zeros(2, 0, dtype=torch.int64)
    return {"pred": torch.ones(2, FRAMES, *labels, CLASSES, dtype=dtype), "target": no_labels} | lengths


def _alignment_extremes(dtype: torch.dtype, *labels: int) -> list[Inputs]:
    logits = of(dtype, [1000, -1000, 0], [-1000, 0, 1000], [0, 0, 0], [-1000, 1000, -1000])
    logits = logits.reshape(FRAMES, *[1] * len(labels), CLASSES).expand(FRAMES, *labels, CLASSES)
    others = {
        "target": torch.tensor([[1, 1], [2, 1], [-1, 7]]),
        "input_lengths": torch.tensor([4, 3, 1]),
        "target_lengths": torch.tensor([2, 2, 0]),
    }
    without = _without_labels(dtype, *[1 for _ in labels])
    return [{"pred": torch.stack([logits, -logits, logits])} | others, without]


ALIGNMENT_BAD = (
    Bad("target", 0, r"target at \(0, 0\) is 0, allowed: 1 to 2 within its length"),
    Bad("target", 3, r"target at \(0, 0\) is 3, allowed: 1 to 2 within its length"),
    Bad("input_lengths", 0, r"input_lengths at \(0,\) is 0, allowed: 1 to 4"),
    Bad("input_lengths", 5, r"input_lengths at \(0,\) is 5, allowed: 1 to 4"),
    Bad("target_lengths", 3, r"target_lengths at \(0,\) is 3, allowed: 0 to 2"),
    Bad("target_lengths", -1, r"target_lengths at \(0,\) is -1, allowed: 0 to 2"),
)

SAMPLES: dict[str, Sample] = {
    "seq_cross_entropy": TOKENS,
    "seq_label_smoothed_ce": TOKENS,
    "ctc": Sample(
        draw=lambda s: {"pred": s.reals(s.rows, FRAMES, CLASSES)} | _lengths(s),
        bad=ALIGNMENT_BAD,
        extremes=_alignment_extremes,
        mirror=_renamed,
        unbatched="torch's ctc_loss has no batching rule: it falls back to a loop and warns",
    ),
    "rnnt": Sample(
        draw=lambda s: {"pred": s.reals(s.rows, FRAMES, LABELS + 1, CLASSES)} | _lengths(s),
        bad=ALIGNMENT_BAD,
        extremes=lambda d: _alignment_extremes(d, LABELS + 1),
        mirror=_renamed,
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
