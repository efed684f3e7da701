"""Your own loss: a typed formula of one prediction and one label, beside losses of the catalogue.

The formula comes first everywhere, under the key ``formula``; arrays are those of the scene `regression`, with one row
more. ``told`` holds ``parameters``, the names that the places of the handle ``values`` have, ``mathml``, how the text
was understood, and with the view ``checks`` what `refute` found. What is not finite is NaN.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from math import isfinite
from typing import Any

import torch
from latex2mathml.converter import convert
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import Code, Inputs, Line, Loss, Number, Properties, number_of_values
from lossviz.losses.entry import Params as LossParams
from lossviz.scenes import regression
from lossviz.scenes.language import MOST_CHARACTERS, MOST_PARAMETERS, Formula, evaluate, parse, to_latex, to_pytorch
from lossviz.scenes.refute import refute
from lossviz.scenes.regression import REGRESSION
from lossviz.scenes.scene import Frame, Params, Scene, Series, Text, Values

KEY = "formula"
LOW, HIGH = -5.0, 5.0
LARGEST = 1e30
"""What is larger than this is as far out of the picture as infinity, which single precision would make of it."""
_CACHED = 256

understood = lru_cache(_CACHED)(parse)
"""The formula that a text says; raises `FormulaError`."""

TEXT = Text("formula", "Formula", "abs(pred - target)**p / p", MOST_CHARACTERS, understood)
VALUES = Series("values", "Parameters", LOW, HIGH, 0.05, (1.5, *[1.0] * (MOST_PARAMETERS - 1)))


def own_loss(handles: Values) -> Loss:
    """Return the typed formula as a loss; its parameters default to the values held."""
    return _loss(handles["formula"], tuple(handles["values"]))


@lru_cache(_CACHED)
def _loss(text: str, values: tuple[float, ...]) -> Loss:
    formula = understood(text)
    fn = _Fn(formula)
    own = zip(formula.parameters, values, strict=False)
    return Loss(
        key=KEY,
        name="Your formula",
        name_zh="自己的公式",
        family="own",
        tasks=("regression",),
        input_kind="regression",
        inputs={"pred": "predictions, shape ``(*batch)``", "target": "labels, same shape"},
        differentiable=("pred",),
        fn=fn,
        denominator=number_of_values,
        check=fn.check,
        grad=None,
        formula=(Line(r"\ell = " + to_latex(formula.root), fn),),
        gradient="",
        derivation=(),
        params={name: Number("A number in your formula.", value, LOW, HIGH) for name, value in own},
        properties=Properties(),
        pitfalls=(),
        reference="",
        code=Code(pytorch=to_pytorch(formula), keras=None, optax=None),
    )


class _Fn:
    """The formula, value by value: what it reduces, it reduces within one prediction."""

    def __init__(self, formula: Formula):
        self.formula = formula

    def __call__(self, *, pred: Tensor, target: Tensor, **params: float) -> Tensor:
        alone = {"pred": pred[..., None], "target": target[..., None]}
        given = {name: pred.new_tensor(value) for name, value in params.items()}
        value = evaluate(self.formula.root, {**alone, **given})
        # A constant, or a condition of the prediction, has the prediction's shape too, and the slope 0.
        always = torch.ones_like(alone["pred"], dtype=torch.bool)
        return torch.where(always, value, alone["pred"]).squeeze(-1)

    def check(self, inputs: Inputs, params: LossParams) -> None:
        pred, target = inputs["pred"], inputs["target"]
        if pred.shape != target.shape:
            raise ValueError(f"pred has shape {tuple(pred.shape)}, target {tuple(target.shape)}; allowed: the same.")
        with torch.no_grad():
            value = self(pred=pred, target=target, **params)
        bad = (~value.isfinite()).flatten().nonzero()
        if len(bad):
            place = int(bad[0])
            shown = f"prediction {pred.flatten()[place]:.4g}, label {target.flatten()[place]:.4g}"
            result = value.flatten()[place].item()
            raise ValueError(f"The formula gives {'no number' if result != result else result} at {shown}.")


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate the formula and ``losses`` at the handles; see the module for what there is."""
    own = own_loss(handles)
    frame = regression.views((own, *losses), handles, params, wanted)
    for name, array in frame.arrays.items():
        frame.arrays[name] = array.masked_fill(~(array.abs() <= LARGEST), torch.nan)
    numbers, proof = frame.numbers.get(KEY), frame.proofs.get(KEY)
    if numbers and not isfinite(numbers["gradient"]):
        frame.notes[KEY] = "Autograd gives no finite slope here, and would give none in training."
    if proof and not isfinite(proof.autograd):
        del frame.proofs[KEY]
    formula = understood(handles["formula"])
    frame.told.update(parameters=list(formula.parameters), mathml=_mathml(handles["formula"]))
    if "checks" in wanted:
        frame.told["checks"] = _checks(handles["formula"], tuple(handles["values"][: len(formula.parameters)]))
    return frame


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the prediction after one step against the gradient; nothing where that is not finite."""
    _, slopes = value_and_grad(loss, regression.inputs(handles, loss), params)
    return regression.step(loss, handles, params) if slopes["pred"].isfinite().all() else {}


@lru_cache(_CACHED)
def _mathml(text: str) -> str:
    return convert(r"\ell = " + to_latex(understood(text).root))


@lru_cache(_CACHED)
def _checks(text: str, values: tuple[float, ...]) -> list[dict[str, Any]]:
    """What was found of each property, once for a formula and its parameters."""
    loss = _loss(text, values)
    chosen = loss.resolve()
    return [asdict(found) for found in refute(lambda pred, target: loss.fn(pred=pred, target=target, **chosen))]


FORMULA = Scene(
    key=KEY,
    name="Your own loss",
    task="Type a loss of pred and target, drag its parameters: what does it ask of a prediction?",
    handles=(*REGRESSION.handles, TEXT, VALUES),
    input_kinds=("regression",),
    view_names=(*REGRESSION.view_names, "checks"),
    inputs=regression.inputs,
    views=views,
    opening=("mse",),
    options=REGRESSION.options,
    step=step,
    own={KEY: own_loss},
)
