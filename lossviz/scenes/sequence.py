"""A sequence: T positions by K classes of logits, and the labels that they are to say.

One ``target`` serves both kinds of losses. For token losses entry t is the label of position t; entries that are the
loss's ``pad_index`` are padding. For CTC class 0 is the blank and no label: its labels are the other entries, in their
order, wherever they stand, and all T frames count. RNN-T has logits for every frame *and* every number of labels so
far, (T, L + 1, K); no grid of T by K holds them, so it is left out.

Cells run position by position: cell ``t * CLASSES + k``. Numbers by loss: ``loss``; of the cell under the cursor
``gradient`` by its logit, ``p`` and, unless it is padding, ``wanted``, of which the gradient is the difference, divided
by the number of tokens, ``tokens``, for token losses. For CTC also ``likelihood``, the probability of all paths, that
of the ``best`` one, its ``share`` in the former, and the number of ``paths``.
Arrays by view (L losses in the order asked): always ``probs``, softmax of the logits, ``(T, K)``.
``cells:<key>``: ``gradient:<key>`` by logit and ``wanted:<key>``, both ``(T, K)``: what the labels want of each
probability, for CTC the chance that frame t emits class k given the labels, for tokens the label itself, NaN where
padded. ``tokens``: loss of each position, ``(L, T)``, and as ``shares`` what it adds to the mean; NaN for CTC.
``lattice:<key>``: for CTC, ``states:<key>``, the class of each state, ``(S,)``, blanks before, between and after the
labels; ``posterior:<key>``, the chance of each state in each frame given the labels, ``(T, S)``; ``moves:<key>``,
pairs of states that may follow each other, ``(M, 2)``; ``path:<key>``, the states of the best path, ``(T,)``. Where no
path fits, there is neither posterior nor path.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import get, value_and_grad
from lossviz.losses.entry import Loss
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Series, Values, line_values, stepped

POSITIONS, CLASSES = 6, 4
CELLS = POSITIONS * CLASSES
REACH = 6.0
BLANK = 0
_CTC = get("ctc")
_STATES = _CTC.formula[1].value
"""The extended labels, and below the chance of each in each frame: lines that lead to the catalogue's CTC."""
_POSTERIOR = _CTC.derivation[1].value

_START = (
    (0.5, 1.8, -0.5, -1.0),
    (1.2, 1.0, 0.6, -1.0),
    (0.2, -0.5, 1.6, 0.5),
    (1.0, -1.0, 1.2, 0.0),
    (0.3, -0.5, 0.0, 1.6),
    (1.4, -1.0, -0.5, 0.9),
)
_ABC = (1.0, 2.0, 3.0, 0.0, 0.0, 0.0)


def _cells(*rows: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(value for row in rows for value in row)


def _saying(*classes: int) -> tuple[float, ...]:
    """Logits that are sure of one class in each position."""
    return tuple(4.0 if k == said else -1.0 for said in classes for k in range(CLASSES))


PRESETS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "start": (_cells(*_START), _ABC),
    "spread": ((0.0,) * CELLS, _ABC),
    "sharp": (_saying(1, 0, 2, 2, 0, 3), _ABC),
    "repeated label": (_cells(*_START), (1.0, 1.0, 2.0, 0.0, 0.0, 0.0)),
    "too few frames": (_cells(*_START), (1.0, 1.0, 2.0, 2.0, 3.0, 3.0)),
}
"""Logits and target to start from, by name."""

LOGITS = Series("logits", "Logits", -REACH, REACH, 0.25, PRESETS["start"][0])
TARGET = Series("target", "Target", 0, CLASSES - 1, 1, _ABC, whole=True)


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred`` ``(1, T, K)`` float64 and ``target`` int64: all T entries for tokens, CTC's labels alone.

    Without any label CTC's ``target`` holds one blank that ``target_lengths`` leaves out.
    """
    pred = _logits(handles)[None]
    if loss.input_kind == "tokens":
        return {"pred": pred, "target": torch.tensor([_target(handles)])}
    labels = _labels(handles)
    return {
        "pred": pred,
        "target": torch.tensor([labels or [BLANK]]),
        "input_lengths": torch.tensor([POSITIONS]),
        "target_lengths": torch.tensor([len(labels)]),
    }


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame(arrays={"probs": _logits(handles).softmax(-1)})
    chosen = {loss.key: loss.resolve(params.get(loss.key, {})) for loss in losses}
    for loss in losses:
        _evaluate(frame, loss, handles, chosen[loss.key], wanted)
    if "tokens" in wanted:
        rows = [_by_position(frame, loss, handles, chosen[loss.key]) for loss in losses]
        frame.arrays["tokens"], frame.arrays["shares"] = (torch.stack(row) for row in zip(*rows, strict=True))
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return all logits after one step against the gradient."""
    _, slopes = value_and_grad(loss, inputs(handles, loss), params)
    pairs = zip(handles["logits"], slopes["pred"].flatten(), strict=True)
    return {"logits": [stepped(LOGITS, value, slope.item(), handles["rate"]) for value, slope in pairs]}


def frames_needed(labels: Sequence[int]) -> int:
    """How many frames CTC needs: one for each label, and one for the blank between each two equal ones."""
    return len(labels) + sum(left == right for left, right in pairwise(labels))


def _logits(handles: Values) -> Tensor:
    return torch.tensor(handles["logits"], dtype=torch.float64).reshape(POSITIONS, CLASSES)


def _target(handles: Values) -> list[int]:
    return [int(entry) for entry in handles["target"]]


def _labels(handles: Values) -> list[int]:
    """CTC's labels."""
    return [label for label in _target(handles) if label != BLANK]


def _padded(handles: Values, params: Mapping[str, Any]) -> Tensor:
    return torch.tensor(_target(handles)) == params["pad_index"]


def _evaluate(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> None:
    named = inputs(handles, loss)
    is_ctc = loss.input_kind == "ctc"
    if is_ctc and f"lattice:{loss.key}" in wanted:
        states = _states(handles)
        moves = [(before, after) for after in range(len(states)) for before in _before(states, after)]
        frame.arrays[f"states:{loss.key}"] = torch.tensor(states)
        frame.arrays[f"moves:{loss.key}"] = torch.tensor(moves)
    try:
        value, slopes = value_and_grad(loss, named, params)
        if value.isinf():
            raise ValueError(_too_few(_labels(handles)))
    except ValueError as error:
        frame.notes[loss.key] = str(error)
        return
    at = divmod(int(handles["cursor"]), CLASSES)
    probs, gradient = frame.arrays["probs"], slopes["pred"][0]
    frame.numbers[loss.key] = {"loss": value.item(), "gradient": gradient[at].item(), "p": probs[at].item()}
    if is_ctc:
        wishes = _lattice(frame, loss, handles, value, wanted)
    else:
        wishes = _token_wishes(loss, named, probs, _padded(handles, params), params)
        frame.numbers[loss.key]["tokens"] = float((~_padded(handles, params)).sum())
    if not wishes[at].isnan():
        frame.numbers[loss.key]["wanted"] = wishes[at].item()
    if f"cells:{loss.key}" in wanted:
        frame.arrays[f"gradient:{loss.key}"], frame.arrays[f"wanted:{loss.key}"] = gradient, wishes
    if f"formula:{loss.key}" in wanted:
        frame.lines[loss.key] = line_values(loss.formula, named, params)
    if f"proof:{loss.key}" in wanted:
        frame.proofs[loss.key] = _proof(loss, named, at, params)


def _too_few(labels: Sequence[int]) -> str:
    between = frames_needed(labels) - len(labels)
    blanks = f" and {between} for blanks between equal neighbours" if between else ""
    return (
        f"Too few frames: the labels need {frames_needed(labels)}, {len(labels)} for labels{blanks}; there are "
        f"{POSITIONS}. No path says them, so the loss is infinite and no gradient helps."
    )


def _token_wishes(
    loss: Loss, named: Mapping[str, Tensor], probs: Tensor, padded: Tensor, params: Mapping[str, Any]
) -> Tensor:
    """The label's share of each class, from the gradient by hand of each token's loss: softmax minus it."""
    if loss.grad is None:
        raise ValueError(f"{loss.name} has no hand-written gradient, which this scene draws.")
    label = probs - loss.grad(**named, **params)["pred"][0]
    return label.masked_fill(padded[:, None], torch.nan)


def _by_position(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Loss of each position, and what it adds to the mean."""
    if loss.input_kind != "tokens" or loss.key in frame.notes or loss.denominator is None:
        gap = torch.full((POSITIONS,), torch.nan, dtype=torch.float64)
        return gap, gap
    named = inputs(handles, loss)
    own = loss.fn(**named, **params)
    return own[0], (own / loss.denominator(own, named, params))[0]


# --- CTC's lattice


def _states(handles: Values) -> list[int]:
    """The labels with a blank before, between and after them."""
    labels = _labels(handles)
    return [int(state.item()) for state in _STATES(target=torch.tensor([labels]))[0]] if labels else [BLANK]


def _before(states: Sequence[int], state: int) -> list[int]:
    """The states from which a path may come: itself, the last one, and over a blank between different labels."""
    may_skip = state >= 2 and states[state] != BLANK and states[state] != states[state - 2]
    return [state, *([state - 1] if state else []), *([state - 2] if may_skip else [])]


@dataclass(frozen=True, slots=True)
class _Way:
    """The best path to a state so far: its log-probability and states, and how many paths lead there."""

    log_p: float
    states: tuple[int, ...]
    paths: int


def _best(states: Sequence[int], log_p: Sequence[Sequence[float]]) -> _Way:
    """The most probable path from the first two states to the last two (Viterbi)."""
    ways = {i: _Way(log_p[0][states[i]], (i,), 1) for i in range(min(2, len(states)))}
    for row in log_p[1:]:
        following: dict[int, _Way] = {}
        for i, state in enumerate(states):
            came = [ways[j] for j in _before(states, i) if j in ways]
            if came:
                best = max(came, key=lambda way: way.log_p)
                following[i] = _Way(best.log_p + row[state], (*best.states, i), sum(way.paths for way in came))
        ways = following
    ends = [ways[i] for i in range(max(0, len(states) - 2), len(states)) if i in ways]
    return replace(max(ends, key=lambda way: way.log_p), paths=sum(way.paths for way in ends))


def _lattice(frame: Frame, loss: Loss, handles: Values, value: Tensor, wanted: Sequence[str]) -> Tensor:
    """Add what the lattice shows; return the chance that a frame emits a class, given the labels, ``(T, K)``."""
    states = _states(handles)
    with torch.no_grad():
        chances = _POSTERIOR(**inputs(handles, loss))[0, :, : len(states)]
    best = _best(states, [[cell.item() for cell in row] for row in _logits(handles).log_softmax(-1)])
    frame.numbers[loss.key] |= {
        "likelihood": math.exp(-value.item()),
        "best": math.exp(best.log_p),
        "share": math.exp(best.log_p + value.item()),
        "paths": float(best.paths),
    }
    if f"lattice:{loss.key}" in wanted:
        frame.arrays[f"posterior:{loss.key}"] = chances
        frame.arrays[f"path:{loss.key}"] = torch.tensor(best.states)
    occupancy = torch.zeros(POSITIONS, CLASSES, dtype=torch.float64)
    return occupancy.index_add(1, torch.tensor(states), chances)


def _proof(loss: Loss, named: Mapping[str, Tensor], at: tuple[int, int], params: Mapping[str, Any]) -> Proof:
    """The slope by the logit of the cell under the cursor."""
    way = torch.zeros_like(named["pred"])
    way[0, at[0], at[1]] = 1.0
    logit = named["pred"][0, at[0], at[1]].item()

    def moved(value: float) -> dict[str, Tensor]:
        return {**named, "pred": named["pred"] + (value - logit) * way}

    return prove(loss, moved, logit, params, {"pred": way})


SEQUENCE = Scene(
    key="sequence",
    name="Sequences",
    task="Drag a cell up or down, or change the target: which cells does each loss push, and along which paths?",
    handles=(LOGITS, TARGET, Handle("cursor", "Cell under the cursor", 0, CELLS - 1, 1, 2 * CLASSES + 2, whole=True)),
    input_kinds=("tokens", "ctc"),
    view_names=("cells", "tokens", "lattice", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("ctc", "seq_cross_entropy", "seq_label_smoothed_ce"),
    options={"rate": replace(RATE, default=1.0), "arrows": ARROWS},
    step=step,
)
