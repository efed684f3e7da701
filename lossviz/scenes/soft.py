"""A soft label, probabilities instead of a class: a loss of class indices is then its mean over the label.

For the cross-entropy that is PyTorch's own ``F.cross_entropy`` with probabilities as target, class weights included:
they stay in the sum, ``-sum_k w_k y_k ln p_k``, and the mean divides by the number of rows. With class indices it
divides by the summed weights of the labels.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from textwrap import indent
from typing import Any

import torch
from torch import Tensor

from lossviz.losses._checks import check_distribution, require_floating, require_same_shape
from lossviz.losses.entry import Code, Inputs, Line, Loss, Params, number_of_rows

_CACHED = 32
_GRADIENT = r"\frac{\partial \bar\ell}{\partial z_j} = \sum_k y_k\,\frac{\partial \ell(y = k)}{\partial z_j}"
_GRADIENTS = {
    "cross_entropy": r"\frac{\partial \bar\ell}{\partial z_j} = p_j \sum_k w_k y_k - w_j y_j",
    "label_smoothing_ce": r"\frac{\partial \bar\ell}{\partial z_j} = p_j - \sum_k y_k\,q_j(y = k)",
}
"""Where the sum is another, shorter expression."""
_CODES = {
    "cross_entropy": Code(
        pytorch="import torch.nn.functional as F\n\nloss = F.cross_entropy(pred, target, weight=weight)\n",
        keras="import keras\n\n"
        "log_p = keras.ops.log_softmax(pred, axis=-1)\n"
        "loss = keras.ops.mean(-keras.ops.sum(weight * target * log_p, axis=-1))\n",
        optax="import optax\n\nloss = optax.losses.softmax_cross_entropy(pred, weight * target).mean()\n",
        note="With probabilities as target PyTorch's mean divides by the number of rows, whatever the class weights; "
        "with class indices it divides by the summed weights of the labels.",
    ),
}
"""Where libraries take probabilities themselves."""
_INDEX = {
    "pytorch": "torch.tensor([index])",
    "keras": 'keras.ops.convert_to_tensor([index], dtype="int32")',
    "optax": "jnp.array([index])",
}


@lru_cache(_CACHED)
def soft(loss: Loss) -> Loss:
    """Return the loss with probabilities as target, ``(N, K)``: its mean over them, and else the same entry.

    Its formula has the lines of ``loss``, with the values that they have for each class as label (one where they are
    the same for all), and the mean as the last. Its code is for one row where no library takes probabilities.
    """

    def fn(*, pred: Tensor, target: Tensor, **rest: Any) -> Tensor:
        require_floating(pred=pred, target=target)
        require_same_shape(pred=pred, target=target)
        values = loss.fn(**_each_class(pred), **rest).reshape(target.shape)
        # A class without a share counts for nothing, though its loss be infinite.
        return (target * values).where(target > 0, 0.0).sum(-1)

    by_hand = loss.grad

    def grad(*, pred: Tensor, target: Tensor, **rest: Any) -> dict[str, Tensor]:
        assert by_hand is not None
        slopes = by_hand(**_each_class(pred), **rest)["pred"].reshape(*target.shape, -1)
        return {"pred": (target[..., None] * slopes).sum(-2)}

    def check(inputs: Inputs, params: Params) -> None:
        pred, target = inputs["pred"], inputs["target"]
        require_floating(pred=pred, target=target)
        require_same_shape(pred=pred, target=target)
        check_distribution("target", target)
        if params.get("ignore_index", -1) >= 0:
            allowed = "below 0 with a soft label, which has no index to ignore (PyTorch refuses it too)"
            raise ValueError(f"{loss.key}.ignore_index is {params['ignore_index']}, allowed: {allowed}")
        loss.check({**inputs, **_each_class(pred)}, params)

    def for_each_class(line: Line) -> Line:
        def value(*, pred: Tensor, target: Tensor, **rest: Any) -> Tensor:
            values = line.value(**_each_class(pred), **rest).reshape(*target.shape, -1)
            return values[:, :1] if (values == values[:, :1]).all() else values

        return Line(line.latex, value)

    return replace(
        loss,
        inputs={**loss.inputs, "target": "probability of each class, (N, K)"},
        fn=fn,
        denominator=number_of_rows,
        check=check,
        grad=grad if by_hand else None,
        formula=(*map(for_each_class, loss.formula), Line(r"\bar\ell = \sum_{k=1}^K y_k\,\ell(y = k)", fn)),
        gradient=_GRADIENTS.get(loss.key, _GRADIENT),
        derivation=(),
        code=_CODES.get(loss.key) or _mean_of(loss.code),
    )


def _each_class(pred: Tensor) -> dict[str, Tensor]:
    """Each row once for each class, with that class as label."""
    rows, classes = pred.shape
    return {"pred": pred.repeat_interleave(classes, 0), "target": torch.arange(classes).repeat(rows)}


def _mean_of(code: Code) -> Code:
    """The programs, once for each class."""
    each: Mapping[str, str | None] = {"pytorch": code.pytorch, "keras": code.keras, "optax": code.optax}
    made = {library: text and _looped(text, _INDEX[library]) for library, text in each.items()}
    return Code(pytorch=made["pytorch"] or "", keras=made["keras"], optax=made["optax"], note=code.note)


def _looped(text: str, label: str) -> str:
    lines = text.strip().split("\n")
    imports = [line for line in lines if line.startswith("import ")]
    body = "\n".join(line for line in lines if line not in imports).strip()
    head = f"shares, expected = target[0], 0.0\nfor index in range(pred.shape[1]):\n    target = {label}\n"
    return "\n".join(
        [*imports, "", f"{head}{indent(body, '    ')}\n    expected = expected + shares[index] * loss"]
    ) + ("\nloss = expected  # the mean over the soft label\n")
