"""Your own loss: a typed formula of one prediction and one label, beside losses of the catalogue.

The formula comes first everywhere, under the key ``formula``; arrays are those of the scene `regression`, with one row
more. ``told`` holds ``parameters``, the names that the places of the handle ``values`` have, ``ranges``, where their
sliders begin and end and how they are spaced, ``mathml``, how the text was understood, and with the view ``checks``
what `refute` found. What is not finite is NaN.
"""

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, replace
from functools import lru_cache
from math import isfinite
from typing import Any, Literal

import torch
from latex2mathml.converter import convert

from lossviz.language import KEY, LARGEST_VALUE, MOST_CHARACTERS, MOST_IN_A_NAME, MOST_PARAMETERS, START, to_latex
from lossviz.losses import value_and_grad
from lossviz.losses.entry import Loss
from lossviz.losses.typed import parameter, typed_loss, understood
from lossviz.scenes import regression
from lossviz.scenes.refute import refute
from lossviz.scenes.regression import REGRESSION
from lossviz.scenes.scene import Frame, Params, Scene, Series, Text, Values

LARGEST = 1e30
"""What is larger than this is as far out of the picture as infinity, which single precision would make of it."""
_CACHED = 256


@dataclass(frozen=True, slots=True)
class Range:
    """Where a parameter's slider begins and ends, and how it spaces its values; ``log`` begins above 0."""

    low: float
    high: float
    scale: Literal["linear", "log"] = "linear"


ANY = Range(-5, 5)
_SCALES = ("c", "s", "beta", "delta", "eps", "epsilon", "scale", "sigma", "tau", "temperature", "width")
USUAL: Mapping[str, Range] = {
    "p": Range(0.1, 5),
    "q": Range(0, 1),
    **dict.fromkeys(_SCALES, Range(0.01, 100, "log")),
}
"""By the names that are usual in the field: an exponent, a share, and scales, which are above 0."""

_NUMBER = r"(-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]{1,3})?)"
_RANGE = re.compile(rf"([A-Za-z][A-Za-z0-9_]{{0,{MOST_IN_A_NAME - 1}}}):{_NUMBER}:{_NUMBER}(:log)?")


def ranges_of(text: str) -> dict[str, Range]:
    """Return the ranges that ``text`` gives by name, such as ``p:1:4,delta:0.01:10:log``.

    Raises:
        ValueError: names the range and what is allowed.
    """
    parts = text.split(",") if text else []
    found = dict(map(_range, parts))
    if len(found) < len(parts) or len(parts) > MOST_PARAMETERS:
        raise ValueError(f"{len(parts)} ranges of parameters; allowed: at most {MOST_PARAMETERS}, one a name.")
    return found


def _range(text: str) -> tuple[str, Range]:
    if match := _RANGE.fullmatch(text):
        low, high = float(match[2]), float(match[3])
        if -LARGEST_VALUE <= low < high <= LARGEST_VALUE and not (match[4] and low <= 0):
            return match[1], Range(low, high, "log" if match[4] else "linear")
    numbers = f"numbers from {-LARGEST_VALUE:g} to {LARGEST_VALUE:g}, low before high, above 0 for log"
    allowed = f"name:low:high or name:low:high:log, {numbers}"
    raise ValueError(f"The range of a parameter is {reprlib.repr(text)}; allowed: {allowed}.")


TEXT = Text("formula", "Formula", "abs(pred - target)**p / p", MOST_CHARACTERS, understood)
VALUES = Series("values", "Parameters", -LARGEST_VALUE, LARGEST_VALUE, 0.05, (1.5, *[START] * (MOST_PARAMETERS - 1)))
RANGES = Text("ranges", "Ranges of the parameters", "", 500, ranges_of)


def own_loss(handles: Values) -> Loss:
    """Return the typed formula as a loss; its parameters default to the values held."""
    return _loss(handles["formula"], tuple(handles["values"]))


def own_params(handles: Values) -> dict[str, float]:
    """Return the values held of the formula's parameters, by name."""
    return own_loss(handles).resolve()


@lru_cache(_CACHED)
def _loss(text: str, values: tuple[float, ...]) -> Loss:
    loss = typed_loss(text)
    return replace(loss, params=dict(zip(loss.params, map(parameter, values), strict=False)))


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
    given = ranges_of(handles["ranges"])
    ranges = [astuple(given.get(name) or USUAL.get(name, ANY)) for name in formula.parameters]
    frame.told.update(parameters=list(formula.parameters), ranges=ranges, mathml=_mathml(handles["formula"]))
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
    handles=(*REGRESSION.handles, TEXT, VALUES, RANGES),
    input_kinds=("regression",),
    view_names=(*REGRESSION.view_names, "checks"),
    inputs=regression.inputs,
    views=views,
    opening=("mse",),
    options=REGRESSION.options,
    step=step,
    own={KEY: own_loss},
)
