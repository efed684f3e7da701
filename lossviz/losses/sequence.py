"""Losses between sequences of scores and sequences of labels."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import ctc_loss, pad

from lossviz.losses._checks import (
    check_between,
    check_finite,
    check_where,
    require_axes,
    require_floating,
    require_index,
)
from lossviz.losses.entry import (
    NOT_APPLICABLE,
    Code,
    Inputs,
    Line,
    Loss,
    Number,
    Params,
    Properties,
    no,
    number_of_values,
    yes,
)

_ALL_LOGITS = "all real logits"


# --- tokens with padding


def _require_tokens(pred: Tensor, target: Tensor) -> None:
    require_floating(pred=pred)
    require_axes("(N, T, K)", pred=pred)
    require_index("target", target, pred.shape[:2], "one for each token")


def _check_tokens(inputs: Inputs, params: Params) -> None:
    pred, target, pad_index = inputs["pred"], inputs["target"], params["pad_index"]
    _require_tokens(pred, target)
    check_finite(pred=pred)
    real, classes = target != pad_index, pred.shape[2]
    known = (target >= 0) & (target < classes)
    check_where("target", target, known | ~real, f"0 to {classes - 1}, or {pad_index} where padded")
    if not bool(real.any()):
        raise ValueError(f"every token of target is {pad_index}, allowed: at least one that is no padding")


def _number_of_tokens(unreduced: Tensor, inputs: Inputs, params: Params) -> Tensor:
    return (inputs["target"] != params["pad_index"]).sum()


def _smoothed_label(pred: Tensor, target: Tensor, pad_index: int, smoothing: float) -> Tensor:
    """(N, T, K): the label's share of each class; 0 everywhere where padded."""
    is_label = target[..., None] == torch.arange(pred.shape[2], device=pred.device)
    share = (1 - smoothing) * is_label.to(pred.dtype) + smoothing / pred.shape[2]
    return share.masked_fill((target == pad_index)[..., None], 0.0)


def _tokens_grad(*, pred: Tensor, target: Tensor, pad_index: int, smoothing: float = 0.0) -> dict[str, Tensor]:
    p = pred.softmax(-1).masked_fill((target == pad_index)[..., None], 0.0)
    return {"pred": p - _smoothed_label(pred, target, pad_index, smoothing)}


def _log_p(*, pred: Tensor, **_: object) -> Tensor:
    shifted = pred - pred.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def _real(*, pred: Tensor, target: Tensor, pad_index: int, **_: object) -> Tensor:
    return (target != pad_index).to(pred.dtype)


def _token_line(*, pred: Tensor, target: Tensor, pad_index: int) -> Tensor:
    label = target.masked_fill(target == pad_index, 0)
    log_p = _log_p(pred=pred).gather(-1, label[..., None])[..., 0]
    return torch.where(target == pad_index, torch.zeros_like(log_p), -log_p)


def _label_line(*, pred: Tensor, target: Tensor, pad_index: int, smoothing: float) -> Tensor:
    return _smoothed_label(pred, target, pad_index, smoothing)


def _smoothed_line(*, pred: Tensor, target: Tensor, pad_index: int, smoothing: float) -> Tensor:
    return -(_label_line(pred=pred, target=target, pad_index=pad_index, smoothing=smoothing) * _log_p(pred=pred)).sum(
        -1
    )


def _p(*, pred: Tensor, **_: object) -> Tensor:
    return _log_p(pred=pred).exp()


def _by_logits(by_log_p: Tensor, pred: Tensor) -> Tensor:
    """From slopes by the log-probabilities to those by the logits: ``[j = k] - p_k`` times each, summed over j."""
    return by_log_p - _p(pred=pred) * by_log_p.sum(-1, keepdim=True)


def _is_label(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (target[..., None] == torch.arange(pred.shape[-1], device=pred.device)).to(pred.dtype)


def _label_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _is_label(pred=pred, target=target) - _p(pred=pred)


def _token_slope(*, pred: Tensor, target: Tensor, pad_index: int) -> Tensor:
    real = _real(pred=pred, target=target, pad_index=pad_index)
    return -real[..., None] * _label_slope(pred=pred, target=target)


def _label_sum_line(*, pred: Tensor, target: Tensor, pad_index: int, smoothing: float) -> Tensor:
    return _label_line(pred=pred, target=target, pad_index=pad_index, smoothing=smoothing).sum(-1)


def _smoothed_slope(*, pred: Tensor, target: Tensor, pad_index: int, smoothing: float) -> Tensor:
    return _by_logits(-_label_line(pred=pred, target=target, pad_index=pad_index, smoothing=smoothing), pred)


_TOKENS = {
    "pred": "logits, (N, T, K)",
    "target": "token, 0 to K - 1, or pad_index where padded, (N, T) int64",
}
_PAD = Number("Tokens with this label are padding and left out.", 0, -100, 1_000_000, integer=True)
_LOG_P = Line(r"\ln p_k = z_k - \ln \sum_j e^{z_j}", _log_p)
_P = Line(r"\frac{\partial}{\partial z_k} \ln \sum_j e^{z_j} = \frac{e^{z_k}}{\sum_j e^{z_j}} = p_k", _p)
_REAL = Line(r"m = [y \ne \text{pad}]", _real)
_RENAMED = "all real logits; the classes permuted, other than padding"
_NO_PADDING = "all tokens, where pad_index is no class"
_UNEVEN = ({"pred": [[[0.0, 0.0, 0.0]]], "target": [[1]]}, {"pred": [[[0.0, 3.0, 0.0]]], "target": [[1]]})
_PROPER_SOURCE = "Gneiting and Raftery (2007), doi:10.1198/016214506000001437."
_FAR_OFF = {"pred": [[[0.0, 0.0, 1e6]]], "target": [[1]]}
_TOKEN_MEAN = (
    "The mean is over the tokens that are no padding. The mean over all N T places shrinks with the padding, and the "
    "mean over sequences gives tokens of short ones more weight: three losses, one name."
)
_LAYOUT = "PyTorch's cross_entropy wants the classes on the second axis, (N, K, T)."


def seq_cross_entropy(*, pred: Tensor, target: Tensor, pad_index: int = 0) -> Tensor:
    """Cross-entropy of each token; padding counts neither in the sum nor in the number divided by.

    Args:
        pred: logits, shape ``(N, T, K)``.
        target: tokens, shape ``(N, T)``, int64; 0 to K - 1, or ``pad_index`` where padded.
        pad_index: the label that stands for padding.

    Returns:
        Loss per token, shape ``(N, T)``, in nats; 0 where padded.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.
    """
    _require_tokens(pred, target)
    padded = target == pad_index
    log_p = pred.log_softmax(-1).gather(-1, target.masked_fill(padded, 0)[..., None])[..., 0]
    return -log_p.masked_fill(padded, 0.0)


SEQ_CROSS_ENTROPY = Loss(
    key="seq_cross_entropy",
    name="Token cross-entropy with padding",
    name_zh="序列交叉熵（带填充）",
    family="sequence",
    tasks=("sequence",),
    input_kind="tokens",
    inputs=_TOKENS,
    differentiable=("pred",),
    fn=seq_cross_entropy,
    denominator=_number_of_tokens,
    check=_check_tokens,
    grad=_tokens_grad,
    formula=(_REAL, _LOG_P, Line(r"\ell = -m \ln p_y", _token_line)),
    gradient=r"\frac{\partial \ell}{\partial z_k} = m \left(p_k - [k = y]\right)",
    derivation=(
        _P,
        Line(
            r"\frac{\partial \ln p_y}{\partial z_k} = "
            r"\frac{\partial}{\partial z_k} \left(z_y - \ln \sum_j e^{z_j}\right) = [k = y] - p_k",
            _label_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = -m \frac{\partial \ln p_y}{\partial z_k} = "
            r"m \left(p_k - [k = y]\right)",
            _token_slope,
        ),
    ),
    params={"pad_index": _PAD},
    properties=Properties(
        convex_in_logits=yes(_ALL_LOGITS),
        bounded=no(_ALL_LOGITS, _FAR_OFF),
        lipschitz=yes(_ALL_LOGITS, constant=lambda _: math.sqrt(2)),
        smooth=yes(_ALL_LOGITS, constant=lambda _: 0.5),
        robust=no(_ALL_LOGITS, *_UNEVEN),
        symmetric=yes(_RENAMED),
        proper=yes(f"the softmax of the logits as forecast; {_NO_PADDING}", source=_PROPER_SOURCE, pad_index=-100),
        calibrated=yes(_NO_PADDING, pad_index=-100),
        scale_invariant=no(_ALL_LOGITS, {"pred": [[[0.0, 0.0, 1.0]]], "target": [[2]]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        _TOKEN_MEAN,
        _LAYOUT,
        "A batch of padding alone is 0 divided by 0; here that is an error, in PyTorch it is NaN.",
        "Averaged batch by batch, tokens of batches with few real ones count more.",
    ),
    reference="Good (1952), Rational decisions, Journal of the Royal Statistical Society B 14, "
    "doi:10.1111/j.2517-6161.1952.tb00104.x.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "loss = F.cross_entropy(pred.movedim(-1, 1), target, ignore_index={pad_index})\n",
        keras="import keras\n\n"
        "real = target != {pad_index}\n"
        "label = keras.ops.where(real, target, 0)\n"
        "losses = keras.losses.sparse_categorical_crossentropy(label, pred, from_logits=True)\n"
        'loss = keras.ops.sum(keras.ops.where(real, losses, 0.0)) / keras.ops.sum(keras.ops.cast(real, "float32"))\n',
        optax="import jax.numpy as jnp\nimport optax\n\n"
        "real = target != {pad_index}\n"
        "label = jnp.where(real, target, 0)\n"
        "losses = optax.losses.softmax_cross_entropy_with_integer_labels(pred, label)\n"
        "loss = (losses * real).sum() / real.sum()\n",
        note="In Keras, sparse_categorical_crossentropy has ignore_class, but its mean counts the padding too.",
    ),
)


def seq_label_smoothed_ce(*, pred: Tensor, target: Tensor, pad_index: int = 0, smoothing: float = 0.1) -> Tensor:
    """Token cross-entropy against a label that leaves a share of its certainty to all classes alike.

    Args:
        pred: logits, shape ``(N, T, K)``.
        target: tokens, shape ``(N, T)``, int64; 0 to K - 1, or ``pad_index`` where padded.
        pad_index: the label that stands for padding.
        smoothing: the share that is spread evenly over all K classes, the right one among them; 0 to 1.

    Returns:
        Loss per token, shape ``(N, T)``, in nats; 0 where padded.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Szegedy et al. (2016), arXiv:1512.00567; for sequences Vaswani et al. (2017), arXiv:1706.03762.
    """
    _require_tokens(pred, target)
    padded = target == pad_index
    log_p = pred.log_softmax(-1)
    label = log_p.gather(-1, target.masked_fill(padded, 0)[..., None])[..., 0]
    return -((1 - smoothing) * label + smoothing * log_p.mean(-1)).masked_fill(padded, 0.0)


SEQ_LABEL_SMOOTHED_CE = Loss(
    key="seq_label_smoothed_ce",
    name="Label-smoothed token cross-entropy",
    name_zh="标签平滑序列交叉熵",
    family="sequence",
    tasks=("sequence",),
    input_kind="tokens",
    inputs=_TOKENS,
    differentiable=("pred",),
    fn=seq_label_smoothed_ce,
    denominator=_number_of_tokens,
    check=_check_tokens,
    grad=_tokens_grad,
    formula=(
        _REAL,
        _LOG_P,
        Line(r"q_k = m \left((1 - \varepsilon) [k = y] + \frac{\varepsilon}{K}\right)", _label_line),
        Line(r"\ell = -\sum_k q_k \ln p_k", _smoothed_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_k} = m\,p_k - q_k",
    derivation=(
        _P,
        Line(
            r"\sum_j q_j = m \left(1 - \varepsilon + K \cdot \frac{\varepsilon}{K}\right) = m",
            _label_sum_line,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_k} = -\sum_j q_j \frac{\partial \ln p_j}{\partial z_k} = "
            r"-\sum_j q_j \left([j = k] - p_k\right) = m\,p_k - q_k",
            _smoothed_slope,
        ),
    ),
    params={
        "pad_index": _PAD,
        "smoothing": Number("Share of the label that is spread evenly over all classes.", 0.1, 0.0, 1.0),
    },
    properties=Properties(
        convex_in_logits=yes(_ALL_LOGITS),
        bounded=no(_ALL_LOGITS, _FAR_OFF),
        lipschitz=yes(_ALL_LOGITS, constant=lambda _: math.sqrt(2)),
        smooth=yes(_ALL_LOGITS, constant=lambda _: 0.5),
        robust=no(_ALL_LOGITS, *_UNEVEN),
        symmetric=yes(_RENAMED),
        proper=no(
            f"the softmax of the logits as forecast; {_NO_PADDING}; proper at smoothing = 0 alone",
            {"pred": [[[math.log(0.99), math.log(0.01)]]], "target": [[0]]},
            {"pred": [[[math.log(0.94), math.log(0.06)]]], "target": [[0]]},
            pad_index=-100,
        ),
        calibrated=yes(f"{_NO_PADDING}, smoothing = 0.1", pad_index=-100, smoothing=0.1),
        scale_invariant=no(_ALL_LOGITS, {"pred": [[[0.0, 0.0, 1.0]]], "target": [[2]]}),
        needs_pairs=NOT_APPLICABLE,
    ),
    pitfalls=(
        "The spread share goes to all K classes here and in PyTorch, to the K - 1 wrong ones in fairseq, and in some "
        "code not to the padding class.",
        "The loss of a perfect model is not 0 but the entropy of the smoothed label.",
        "As a measure of the model report it without smoothing: perplexity is not its exponential.",
        _TOKEN_MEAN,
        _LAYOUT,
    ),
    reference="Szegedy, Vanhoucke, Ioffe, Shlens and Wojna (2016), Rethinking the Inception architecture for computer "
    "vision, arXiv:1512.00567; for sequences Vaswani et al. (2017), Attention is all you need, arXiv:1706.03762.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "loss = F.cross_entropy(\n"
        "    pred.movedim(-1, 1), target, ignore_index={pad_index}, label_smoothing={smoothing}\n"
        ")\n",
        keras="import keras\n\n"
        "real = target != {pad_index}\n"
        "label = keras.ops.one_hot(keras.ops.where(real, target, 0), pred.shape[-1])\n"
        "losses = keras.losses.categorical_crossentropy(label, pred, from_logits=True, label_smoothing={smoothing})\n"
        'loss = keras.ops.sum(keras.ops.where(real, losses, 0.0)) / keras.ops.sum(keras.ops.cast(real, "float32"))\n',
        optax="import jax\nimport optax\n\n"
        "real = target != {pad_index}\n"
        "label = optax.losses.smooth_labels(jax.nn.one_hot(target, pred.shape[-1]), {smoothing})\n"
        "losses = optax.losses.softmax_cross_entropy(pred, label)\n"
        "loss = (losses * real).sum() / real.sum()\n",
        note="PyTorch, Keras and Optax spread the share over all K classes.",
    ),
)


# --- what CTC and RNN-T share

_LENGTHS = {
    "input_lengths": "frames of each sequence, 1 to T, (N,) int64",
    "target_lengths": "labels of each sequence, 0 to L, (N,) int64",
}


def _check_alignment(inputs: Inputs) -> None:
    """Finite scores, lengths that fit, and labels other than blank as far as the length says."""
    pred, target, lengths = inputs["pred"], inputs["target"], inputs["target_lengths"]
    check_finite(pred=pred)
    check_between("input_lengths", inputs["input_lengths"], 1, pred.shape[1])
    check_between("target_lengths", lengths, 0, target.shape[1])
    beyond = torch.arange(target.shape[1], device=target.device) >= lengths[:, None]
    good = beyond | ((target >= 1) & (target < pred.shape[-1]))
    check_where("target", target, good, f"1 to {pred.shape[-1] - 1} within its length; 0 is the blank")


def _require_lengths(pred: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> None:
    require_index("input_lengths", input_lengths, pred.shape[:1], "one for each sequence")
    require_index("target_lengths", target_lengths, pred.shape[:1], "one for each sequence")


# --- CTC


def ctc(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Minus the log-probability of all ways to stretch the labels over the frames, with blanks in between.

    Args:
        pred: logits, shape ``(N, T, K)``; class 0 is the blank.
        target: labels, shape ``(N, L)``, int64; 1 to K - 1; anything beyond ``target_lengths``.
        input_lengths: frames that count, shape ``(N,)``, int64; 1 to T.
        target_lengths: labels that count, shape ``(N,)``, int64; 0 to L.

    Returns:
        Loss per sequence, shape ``(N,)``, in nats, not divided by any length. Infinite, with gradient 0, where the
        frames are too few for the labels and the blanks between equal ones.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Graves, Fernández, Gomez and Schmidhuber (2006), doi:10.1145/1143844.1143891.
    """
    _require_ctc(pred, target, input_lengths, target_lengths)
    frames = pred.log_softmax(-1).transpose(0, 1)
    # Torch's own infinite values have the gradient NaN.
    values = ctc_loss(frames, target, input_lengths, target_lengths, reduction="none", zero_infinity=True)
    return values.masked_fill(_frames_needed(target, target_lengths) > input_lengths, math.inf)


def _require_ctc(pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> None:
    require_floating(pred=pred)
    require_axes("(N, T, K)", pred=pred)
    require_axes("(N, L)", target=target)
    require_index("target", target, (pred.shape[0], target.shape[1]), "one row for each sequence")
    _require_lengths(pred, input_lengths, target_lengths)


def _check_ctc(inputs: Inputs, params: Params) -> None:
    _require_ctc(**inputs)
    _check_alignment(inputs)


def _frames_needed(target: Tensor, target_lengths: Tensor) -> Tensor:
    """One for each label and one for the blank between each two equal ones."""
    inside = torch.arange(target.shape[1], device=target.device)[1:] < target_lengths[:, None]
    return target_lengths + ((target[:, 1:] == target[:, :-1]) & inside).sum(-1)


def _ctc_outputs(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> dict[str, Tensor]:
    values = ctc(pred=pred, target=target, input_lengths=input_lengths, target_lengths=target_lengths)
    return {"torch_mean": (values / target_lengths.clamp(min=1)).mean()}


# Stands for minus infinity in the recursions: its differences are numbers.
_NEVER = -1e30


def _with_blanks(*, target: Tensor, **_: object) -> Tensor:
    """The labels with a blank before, between and after them, (N, 2 L + 1)."""
    return pad(torch.stack([torch.zeros_like(target), target], -1).flatten(1), (0, 1))


def _ctc_states(*, pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """States (N, 2 L + 1), their log-probabilities (N, T, 2 L + 1), and whether one may come from the last but one."""
    # Labels beyond the length may be anything; no path that counts passes them.
    states = _with_blanks(target=target).clamp(0, pred.shape[2] - 1)
    emit = _log_p(pred=pred).gather(2, states[:, None].expand(-1, pred.shape[1], -1))
    place = torch.arange(states.shape[1], device=pred.device)
    return states, emit, (states != 0) & (place >= 2) & (states != states.roll(2, -1))


def _ctc_prefixes(*, pred: Tensor, target: Tensor, input_lengths: Tensor, **_: object) -> Tensor:
    """Log-probability of all prefixes that end at state s in frame t, (N, T, 2 L + 1); the last one is repeated."""
    states, emit, may_skip = _ctc_states(pred=pred, target=target)
    place = torch.arange(states.shape[1], device=pred.device)
    alpha = [emit[:, 0].masked_fill(place >= 2, _NEVER)]
    for t in range(1, pred.shape[1]):
        step = alpha[-1].roll(1, -1).masked_fill(place < 1, _NEVER)
        skip = alpha[-1].roll(2, -1).masked_fill(~may_skip, _NEVER)
        following = torch.stack([alpha[-1], step, skip]).logsumexp(0) + emit[:, t]
        alpha.append(torch.where((t < input_lengths)[:, None], following, alpha[-1]))
    return torch.stack(alpha, 1)


def _ctc_forward(**both: Any) -> Tensor:
    """Log-probability of all prefixes that end at state s in the last frame, (N, 2 L + 1)."""
    return _ctc_prefixes(**both)[:, -1]


def _ctc_line(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    alpha = _ctc_forward(pred=pred, target=target, input_lengths=input_lengths, target_lengths=target_lengths)
    place = torch.arange(alpha.shape[1], device=pred.device)
    last = 2 * target_lengths[:, None]
    total = alpha.masked_fill((place != last) & (place != last - 1), _NEVER).logsumexp(-1)
    return torch.where(total < _NEVER / 2, torch.full_like(total, math.inf), -total)


def _ctc_suffixes(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Log-probability of all that may follow state s in frame t, (N, T, 2 L + 1); 0 or never in the last frame."""
    states, emit, may_skip = _ctc_states(pred=pred, target=target)
    place = torch.arange(states.shape[1], device=pred.device)
    last = 2 * target_lengths[:, None]
    end = torch.zeros_like(emit[:, 0]).masked_fill((place != last) & (place != last - 1), _NEVER)
    beta = [end]
    for t in range(pred.shape[1] - 1, 0, -1):
        entered = beta[0] + emit[:, t]
        step = entered.roll(-1, -1).masked_fill(place == states.shape[1] - 1, _NEVER)
        skip = entered.masked_fill(~may_skip, _NEVER).roll(-2, -1)
        before = torch.stack([entered, step, skip]).logsumexp(0)
        beta.insert(0, torch.where((t < input_lengths)[:, None], before, end))
    return torch.stack(beta, 1)


def _ctc_chances(*, pred: Tensor, input_lengths: Tensor, **both: Any) -> Tensor:
    """Probability of state s in frame t, given the labels, (N, T, 2 L + 1); 0 where a frame does not count."""
    own = {"pred": pred, "input_lengths": input_lengths, **both}
    loss = _ctc_line(**own)[:, None, None]
    # Where no path fits, all of them are never, whatever is added.
    chances = (_ctc_prefixes(**own) + _ctc_suffixes(**own) + loss.masked_fill(loss.isinf(), 0.0)).exp()
    counts = torch.arange(pred.shape[1], device=pred.device) < input_lengths[:, None]
    return chances * counts[..., None]


def _ctc_by_log_p(*, pred: Tensor, target: Tensor, **both: Any) -> Tensor:
    states, _, _ = _ctc_states(pred=pred, target=target)
    return -_ctc_chances(pred=pred, target=target, **both) @ _is_label(pred=pred, target=states)


def _ctc_slope(*, pred: Tensor, **both: Any) -> Tensor:
    return _by_logits(_ctc_by_log_p(pred=pred, **both), pred)


_TRADE_OFF = (
    {
        "pred": [[[0.0, 20.0], [20.0, 0.0]]],
        "target": [[1]],
        "input_lengths": [2],
        "target_lengths": [1],
    },
    {
        "pred": [[[20.0, 0.0], [0.0, 20.0]]],
        "target": [[1]],
        "input_lengths": [2],
        "target_lengths": [1],
    },
)

_FRAMES, _LABELS = 4, 2
_FEW_FRAMES = "4 frames, enough for the labels; the bound grows with the number of frames"

CTC = Loss(
    key="ctc",
    name="Connectionist temporal classification",
    name_zh="连接时序分类损失",
    family="sequence",
    tasks=("sequence",),
    input_kind="ctc",
    inputs={
        "pred": "logits of each frame, class 0 the blank, (N, T, K)",
        "target": "labels, 1 to K - 1, anything beyond the length, (N, L) int64",
        **_LENGTHS,
    },
    differentiable=("pred",),
    fn=ctc,
    denominator=number_of_values,
    check=_check_ctc,
    grad=None,
    formula=(
        _LOG_P,
        Line(r"s = (\varnothing, y_1, \varnothing, y_2, \dots, y_L, \varnothing)", _with_blanks),
        Line(
            r"\ln \alpha_t(i) = \ln p_{t, s_i} + \ln \sum_{j} \alpha_{t - 1}(j), \quad j \in \{i, i - 1\}, "
            r"\text{ and } i - 2 \text{ if } s_i \ne \varnothing, s_i \ne s_{i - 2}",
            _ctc_forward,
        ),
        Line(r"\ell = -\ln \left(\alpha_T(2 L + 1) + \alpha_T(2 L)\right)", _ctc_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_{t,k}} = p_{t,k} - \Pr(\text{frame } t \text{ emits } k \mid y)",
    derivation=(
        Line(
            r"\ln \beta_t(i) = \ln \sum_{j} \beta_{t + 1}(j)\, p_{t + 1, s_j}, \quad j \in \{i, i + 1\}, "
            r"\text{ and } i + 2 \text{ if } s_{i + 2} \ne \varnothing, s_{i + 2} \ne s_i; "
            r"\quad \beta_T(2 L + 1) = \beta_T(2 L) = 1",
            _ctc_suffixes,
        ),
        Line(
            r"\gamma_t(i) = \Pr(\text{state } i \text{ in frame } t \mid y) = \alpha_t(i)\, \beta_t(i)\, e^{\ell}",
            _ctc_chances,
        ),
        Line(
            r"\frac{\partial \ell}{\partial \ln p_{t,k}} = "
            r"-\frac{p_{t,k}}{\Pr(y)} \frac{\partial \Pr(y)}{\partial p_{t,k}} = -\sum_{i : s_i = k} \gamma_t(i)",
            _ctc_by_log_p,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_{t,k}} = \sum_j \frac{\partial \ell}{\partial \ln p_{t,j}} "
            r"\left([j = k] - p_{t,k}\right) = p_{t,k} - \sum_{i : s_i = k} \gamma_t(i)",
            _ctc_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=no("all real logits: two different alignments are each better than their mean", *_TRADE_OFF),
        bounded=no(
            _ALL_LOGITS,
            {"pred": [[[1e6, 0.0]]], "target": [[1]], "input_lengths": [1], "target_lengths": [1]},
        ),
        # In each frame the slope is the difference of two distributions. Of the two log-sum-exps that the loss is the
        # difference of, one bends by 1/2 at most, the other by a variance over all alignments: at most a quarter of the
        # squared range, to which each frame adds sqrt(2) times the length of its part of the direction.
        lipschitz=yes(_FEW_FRAMES, constant=lambda _: math.sqrt(2 * _FRAMES)),
        smooth=yes(_FEW_FRAMES, constant=lambda _: _FRAMES / 2),
        symmetric=yes("all real logits; the labels permuted, other than the blank"),
        scale_invariant=no(
            _ALL_LOGITS, {"pred": [[[1.0, 0.0]]], "target": [[1]], "input_lengths": [1], "target_lengths": [1]}
        ),
    ),
    pitfalls=(
        "PyTorch takes log-probabilities with the frames first, (T, N, K), not logits.",
        "PyTorch's mean first divides each sequence by its number of labels; here, and in Optax, it is the plain mean "
        "over sequences. The output torch_mean is PyTorch's.",
        "Too few frames for the labels make the loss infinite; equal labels in a row need a blank between them. "
        "PyTorch's zero_infinity hides such sequences as 0, Optax gives about 100,000.",
        "The blank has an index of its own, here 0: Keras uses 0 for padding too.",
        "Early in training the blank wins nearly all frames, and the loss stays flat for a while.",
    ),
    reference="Graves, Fernández, Gomez and Schmidhuber (2006), Connectionist temporal classification: labelling "
    "unsegmented sequence data with recurrent neural networks, doi:10.1145/1143844.1143891.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        "log_p = F.log_softmax(pred, -1).transpose(0, 1)\n"
        'loss = F.ctc_loss(log_p, target, input_lengths, target_lengths, reduction="none").mean()\n',
        keras="import keras\n\n"
        "losses = keras.ops.ctc_loss(target, pred, target_lengths, input_lengths, mask_index=0)\n"
        "loss = keras.ops.mean(losses)\n",
        optax="import jax.numpy as jnp\nimport optax\n\n"
        "frame_padding = 1.0 * (jnp.arange(pred.shape[1]) >= input_lengths[:, None])\n"
        "label_padding = 1.0 * (jnp.arange(target.shape[1]) >= target_lengths[:, None])\n"
        "loss = optax.losses.ctc_loss(pred, frame_padding, target, label_padding).mean()\n",
        note="Keras's losses.ctc takes no lengths: it counts the labels that are not 0.",
    ),
    outputs=_ctc_outputs,
)


# --- RNN transducer


def rnnt(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Minus the log-probability of all ways through a lattice: a blank goes to the next frame, a label stays in it.

    Args:
        pred: logits after each frame and number of labels, shape ``(N, T, L + 1, K)``; class 0 is the blank.
        target: labels, shape ``(N, L)``, int64; 1 to K - 1; anything beyond ``target_lengths``.
        input_lengths: frames that count, shape ``(N,)``, int64; 1 to T.
        target_lengths: labels that count, shape ``(N,)``, int64; 0 to L.

    Returns:
        Loss per sequence, shape ``(N,)``, in nats, not divided by any length.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Graves (2012), arXiv:1211.3711.
    """
    _require_rnnt(pred, target, input_lengths, target_lengths)
    blank, label = _moves(pred.log_softmax(-1), target)
    # Row by row: what all labels up to u cost in this frame, and where the frame was entered.
    within = torch.cat([torch.zeros_like(blank[:, :, :1]), label.cumsum(-1)], -1)
    rows = [within[:, 0]]
    for t in range(1, pred.shape[1]):
        rows.append(within[:, t] + (rows[-1] + blank[:, t - 1] - within[:, t]).logcumsumexp(-1))
    ends = (torch.stack(rows, 1) + blank).flatten(1)
    return -ends.gather(1, ((input_lengths - 1) * pred.shape[2] + target_lengths)[:, None])[:, 0]


def _moves(log_p: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the blank, (N, T, L + 1), and of the next label, (N, T, L)."""
    # Labels beyond the length may be anything; no path that counts takes them.
    wanted = target.clamp(0, log_p.shape[3] - 1)[:, None, :, None].expand(-1, log_p.shape[1], -1, 1)
    return log_p[..., 0], log_p[:, :, :-1].gather(3, wanted)[..., 0]


def _require_rnnt(pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> None:
    require_floating(pred=pred)
    require_axes("(N, T, L + 1, K)", pred=pred)
    require_index("target", target, (pred.shape[0], pred.shape[2] - 1), "one less than the third axis of pred")
    _require_lengths(pred, input_lengths, target_lengths)


def _check_rnnt(inputs: Inputs, params: Params) -> None:
    _require_rnnt(**inputs)
    _check_alignment(inputs)


def _blank_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _moves(_log_p(pred=pred), target)[0]


def _label_move_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _moves(_log_p(pred=pred), target)[1]


def _lattice(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    """Log-probability of all paths to each point, (N, T, L + 1), point by point."""
    blank, label = _moves(_log_p(pred=pred), target)
    alpha = [[blank.new_zeros(pred.shape[0])] * pred.shape[2] for _ in range(pred.shape[1])]
    for t in range(pred.shape[1]):
        for u in range(pred.shape[2]):
            below = [alpha[t - 1][u] + blank[:, t - 1, u]] if t else []
            left = [alpha[t][u - 1] + label[:, t, u - 1]] if u else []
            if t or u:
                alpha[t][u] = torch.stack([*below, *left]).logsumexp(0)
    return torch.stack([torch.stack(row, -1) for row in alpha], 1)


def _rnnt_line(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    ends = _lattice(pred=pred, target=target) + _blank_line(pred=pred, target=target)
    return -ends[torch.arange(len(pred), device=pred.device), input_lengths - 1, target_lengths]


def _after(*, pred: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Log-probability of all paths from each point to the end, (N, T, L + 1), point by point."""
    blank, label = _moves(_log_p(pred=pred), target)
    never = torch.full_like(blank[:, 0, 0], _NEVER)
    ways = [[never] * (pred.shape[2] + 1) for _ in range(pred.shape[1] + 1)]
    for t in reversed(range(pred.shape[1])):
        for u in reversed(range(pred.shape[2])):
            end = (input_lengths == t + 1) & (target_lengths == u)
            up = ways[t + 1][u].masked_fill(end, 0.0) + blank[:, t, u]
            right = ways[t][u + 1] + (label[:, t, u] if u < label.shape[2] else 0)
            ways[t][u] = torch.stack([up, right]).logsumexp(0)
    return torch.stack([torch.stack(row[:-1], -1) for row in ways[:-1]], 1)


def _passed(**both: Any) -> Tensor:
    return (_lattice(**both) + _after(**both) + _rnnt_line(**both)[:, None, None]).exp()


def _rnnt_by_log_p(*, pred: Tensor, target: Tensor, **both: Any) -> Tensor:
    own = {"pred": pred, "target": target, **both}
    label = _label_move_line(pred=pred, target=target) + _after(**own)[:, :, 1:]
    reached = _lattice(**own) + _rnnt_line(**own)[:, None, None]
    by_label = torch.cat([(reached[:, :, :-1] + label).exp(), torch.zeros_like(reached[:, :, :1])], 2)
    # What goes on from a point by no label goes on by a blank, and from the end out of the lattice.
    by_blank = _passed(**own) - by_label
    labels = pad(target, (0, 1))[:, None].expand(-1, pred.shape[1], -1)
    blanks = torch.zeros_like(labels)
    return -(
        by_blank[..., None] * _is_label(pred=pred, target=blanks)
        + by_label[..., None] * _is_label(pred=pred, target=labels)
    )


def _rnnt_slope(*, pred: Tensor, **both: Any) -> Tensor:
    return _by_logits(_rnnt_by_log_p(pred=pred, **both), pred)


_BLANK, _LABEL = [20.0, 0.0], [0.0, 20.0]

_FEW_POINTS = "4 frames and 2 labels; the bound grows with the number of both"

RNNT = Loss(
    key="rnnt",
    name="RNN transducer loss",
    name_zh="RNN 转导损失",
    family="sequence",
    tasks=("sequence",),
    input_kind="rnnt",
    inputs={
        "pred": "logits for each frame and number of labels so far, class 0 the blank, (N, T, L + 1, K)",
        "target": "labels, 1 to K - 1, anything beyond the length, (N, L) int64",
        **_LENGTHS,
    },
    differentiable=("pred",),
    fn=rnnt,
    denominator=number_of_values,
    check=_check_rnnt,
    grad=None,
    formula=(
        Line(r"b_{t,u} = \ln p_{t,u,\varnothing}", _blank_line),
        Line(r"y_{t,u} = \ln p_{t,u,y_{u + 1}}", _label_move_line),
        Line(
            r"a_{t,u} = \ln \left(e^{a_{t - 1,u} + b_{t - 1,u}} + e^{a_{t,u - 1} + y_{t,u - 1}}\right), "
            r"\quad a_{1,0} = 0",
            _lattice,
        ),
        Line(r"\ell = -\left(a_{T,L} + b_{T,L}\right)", _rnnt_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial z_{t,u,k}} = \Pr((t, u) \text{ passed} \mid y)\, p_{t,u,k} - "
    r"\Pr((t, u) \text{ passed, } k \text{ emitted} \mid y)",
    derivation=(
        Line(
            r"c_{t,u} = \ln \left(e^{b_{t,u} + c_{t + 1,u}} + e^{y_{t,u} + c_{t,u + 1}}\right), "
            r"\quad c_{T,L} = b_{T,L}",
            _after,
        ),
        Line(r"\gamma_{t,u} = \Pr((t, u) \text{ passed} \mid y) = e^{a_{t,u} + c_{t,u} + \ell}", _passed),
        Line(
            r"\frac{\partial \ell}{\partial \ln p_{t,u,k}} = -\eta_{t,u,k}: \quad "
            r"\eta_{t,u,y_{u + 1}} = e^{a_{t,u} + y_{t,u} + c_{t,u + 1} + \ell}, \; "
            r"\eta_{t,u,\varnothing} = \gamma_{t,u} - \eta_{t,u,y_{u + 1}}, \text{ else } 0",
            _rnnt_by_log_p,
        ),
        Line(
            r"\frac{\partial \ell}{\partial z_{t,u,k}} = -\sum_j \eta_{t,u,j} \left([j = k] - p_{t,u,k}\right) = "
            r"\gamma_{t,u}\, p_{t,u,k} - \eta_{t,u,k}",
            _rnnt_slope,
        ),
    ),
    params={},
    properties=Properties(
        convex_in_logits=no(
            "all real logits: two different paths are each better than their mean",
            {
                "pred": [[[_LABEL, _BLANK], [_BLANK, _BLANK]]],
                "target": [[1]],
                "input_lengths": [2],
                "target_lengths": [1],
            },
            {
                "pred": [[[_BLANK, _BLANK], [_LABEL, _BLANK]]],
                "target": [[1]],
                "input_lengths": [2],
                "target_lengths": [1],
            },
        ),
        bounded=no(
            _ALL_LOGITS,
            {
                "pred": [[[[1e6, 0.0], [0.0, 0.0]]]],
                "target": [[1]],
                "input_lengths": [1],
                "target_lengths": [1],
            },
        ),
        # The slope is a mean over paths, each of which passes as many points as it has frames and labels; at each of
        # them it is the difference of two distributions. The bend: as with CTC, over the points of two paths.
        lipschitz=yes(_FEW_POINTS, constant=lambda _: math.sqrt(2 * (_FRAMES + _LABELS))),
        smooth=yes(_FEW_POINTS, constant=lambda _: _FRAMES + _LABELS),
        symmetric=yes("all real logits; the labels permuted, other than the blank"),
        scale_invariant=no(
            _ALL_LOGITS,
            {"pred": [[[[1.0, 0.0], [0.0, 0.0]]]], "target": [[1]], "input_lengths": [1], "target_lengths": [1]},
        ),
    ),
    pitfalls=(
        "The third axis of the logits has one place more than there are labels: the last one is after all of them.",
        "Every path ends with a blank; without it the last frame is never closed.",
        "Torchaudio's blank is the last class by default; here it is class 0.",
        "Equal labels in a row need no blank between them, unlike in CTC, and one frame may emit many labels.",
        "The logits take memory for N T (L + 1) K numbers: the usual limit of the batch size.",
    ),
    reference="Graves (2012), Sequence transduction with recurrent neural networks, arXiv:1211.3711.",
    code=Code(
        pytorch="import torch\n\n"
        "log_p = pred.log_softmax(-1)\n"
        "values = []\n"
        "for z, y, frames, labels in zip(log_p, target, input_lengths, target_lengths):\n"
        "    alpha = {{}}\n"
        "    for t in range(frames):\n"
        "        for u in range(labels + 1):\n"
        "            ways = [alpha[t - 1, u] + z[t - 1, u, 0]] if t else []\n"
        "            ways += [alpha[t, u - 1] + z[t, u - 1, y[u - 1]]] if u else []\n"
        "            alpha[t, u] = torch.stack(ways).logsumexp(0) if ways else z.new_zeros(())\n"
        "    values.append(-alpha[int(frames) - 1, int(labels)] - z[frames - 1, labels, 0])\n"
        "loss = torch.stack(values).mean()\n",
        keras=None,
        optax=None,
        note="In torchaudio, rnnt_loss(blank=0) is the same, with int32 labels and lengths.",
    ),
)


LOSSES: tuple[Loss, ...] = (SEQ_CROSS_ENTROPY, SEQ_LABEL_SMOOTHED_CE, CTC, RNNT)
