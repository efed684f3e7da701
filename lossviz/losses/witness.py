"""What a counter-example shows: the numbers behind a "no" among a loss's properties, computed anew each time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import value_and_grad
from lossviz.losses.entry import CounterExample, Loss, Params

BATCH_KINDS = ("regression_batch", "nonnegative_batch")
REGRESSION_KINDS = (
    *("regression", "nonnegative", "positive", "counts", "mean_variance", "robust_shape"),
    *("boxes", "box_deltas", "reconstruction", "vae"),
    *BATCH_KINDS,
)
PROBABILITY_KINDS = ("probabilities", "distributions")
CLASS_KINDS = (*PROBABILITY_KINDS, "classes", "log_probabilities", "tokens")
LABEL_KINDS = (*CLASS_KINDS, "binary", "binary_probabilities", "margin", "multilabel")
SEGMENT = torch.linspace(0, 1, 81, dtype=torch.float64)
SCORES = torch.arange(-8, 9, dtype=torch.float64) / 4
"""Where the cheapest prediction is looked for, class by class: the corners of piecewise linear losses among them."""
TIE = 1e-9

SENTENCES: Mapping[str, str] = {
    "chord": "Halfway between two predictions the loss is {middle}, above the chord, which is at {chord} there.",
    "unbounded": "Here it is {value}, and farther out it grows beyond any bound.",
    "steep": "Here the gradient is {slope} long, and there is no bound to it.",
    "kink": "Between two inputs only {distance} apart the gradient changes by {change}.",
    "pull": "A label this wrong pulls with {slope}, and a worse one pulls harder.",
    "outvoted": "All labels but one are below the prediction, and still the batch pulls it up, with {pull}.",
    "labels": "Added up over all labels it is {first} at one prediction, {second} at another: wrong labels shift it.",
    "mirror": "It is {value} here and {mirrored} at the mirror image.",
    "doubled_both": "It is {value} here and {double} with prediction and label doubled.",
    "doubled": "It is {value} here and {double} with its first input doubled.",
    "forecast": "Where the forecast is true it costs {honest} on average, another forecast only {other}.",
    "decision": "Class {likeliest} is the likeliest, with {most}; the cheapest scores give it a lead of {lead}.",
    "answer": "The answer {likeliest} is the likelier, with {most}; the cheapest logit gives it a lead of {lead}.",
}
"""By kind, with ``{name}`` for each number."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A counter-example at work.

    Attributes:
        kind: which of the ``SENTENCES`` says it.
        numbers: what was computed, by name.
        segment: where the claim is about the way between two points (convexity): the loss at 81 places on it, the
            first and the last of them the points; ``None`` for other claims.
    """

    kind: str
    numbers: Mapping[str, float]
    segment: Tensor | None = None


def witness(loss: Loss, name: str) -> Witness:
    """What the counter-example of the property ``name`` shows.

    Raises:
        ValueError: the property is not denied.
    """
    claim = getattr(loss.properties, name)
    if claim.counter_example is None:
        raise ValueError(f"{loss.key}: {name} is not denied, so that there is no counter-example")
    return _SHOW[name](loss, claim.counter_example)


def _tensors(point: Mapping[str, Any]) -> dict[str, Tensor]:
    """Nested lists as tensors: whole numbers are class indices, all others float64."""
    found = {name: torch.tensor(value) for name, value in point.items()}
    return {
        name: torch.tensor(point[name], dtype=torch.float64) if tensor.is_floating_point() else tensor
        for name, tensor in found.items()
    }


def _points(loss: Loss, example: CounterExample) -> tuple[list[dict[str, Tensor]], dict[str, Any]]:
    return [_tensors(point) for point in example.points], loss.resolve(dict(example.params))


def _value(loss: Loss, inputs: Mapping[str, Tensor], params: Params) -> float:
    return loss.reduce(loss.fn(**inputs, **params), inputs, params).item()


def _slopes(loss: Loss, inputs: Mapping[str, Tensor], params: Params) -> Tensor:
    return torch.cat([slope.flatten() for slope in value_and_grad(loss, inputs, params)[1].values()])


def _length(vector: Tensor) -> float:
    return (vector * vector).sum().sqrt().item()


def _convex(loss: Loss, example: CounterExample) -> Witness:
    (first, last), params = _points(loss, example)
    moved = loss.differentiable[0]
    way = [first | {moved: torch.lerp(first[moved], last[moved], share)} for share in SEGMENT]
    segment = torch.tensor([_value(loss, inputs, params) for inputs in way], dtype=torch.float64)
    middle, chord = segment[len(segment) // 2].item(), (segment[0] + segment[-1]).item() / 2
    return Witness("chord", {"middle": middle, "chord": chord}, segment)


def _bounded(loss: Loss, example: CounterExample) -> Witness:
    (point, *_), params = _points(loss, example)
    return Witness("unbounded", {"value": _value(loss, point, params)})


def _steep(loss: Loss, example: CounterExample) -> Witness:
    (point, *_), params = _points(loss, example)
    slope = _length(_slopes(loss, point, params))
    return Witness("steep", {"slope": slope})


def _smooth(loss: Loss, example: CounterExample) -> Witness:
    (first, last), params = _points(loss, example)
    change = _length(_slopes(loss, first, params) - _slopes(loss, last, params))
    moved = [first[name] - last[name] for name in loss.differentiable]
    distance = _length(torch.cat([step.flatten() for step in moved]))
    return Witness("kink", {"distance": distance, "change": change})


def _robust(loss: Loss, example: CounterExample) -> Witness:
    points, params = _points(loss, example)
    if loss.input_kind in BATCH_KINDS:
        pull = -value_and_grad(loss, points[0], params)[1]["pred"].sum().item()
        return Witness("outvoted", {"pull": pull})
    if loss.input_kind not in LABEL_KINDS:
        slope = _length(_slopes(loss, points[0], params))
        return Witness("pull", {"slope": slope})
    sums = [_for_all_labels(loss, point, params).sum(-1)[0].item() for point in (points[0], points[-1])]
    return Witness("labels", {"first": sums[0], "second": sums[1]})


def _symmetric(loss: Loss, example: CounterExample) -> Witness:
    (point, mirrored), params = _points(loss, example)
    numbers = {"value": _value(loss, point, params), "mirrored": _value(loss, mirrored, params)}
    return Witness("mirror", numbers)


def _scaled(loss: Loss, example: CounterExample) -> Witness:
    (point, *_), params = _points(loss, example)
    together = loss.input_kind in REGRESSION_KINDS
    names = ("pred", "target") if together else loss.differentiable[:1]
    double = point | {name: 2 * point[name] for name in names}
    numbers = {"value": _value(loss, point, params), "double": _value(loss, double, params)}
    if together:
        return Witness("doubled_both", numbers)
    return Witness("doubled", numbers)


def _proper(loss: Loss, example: CounterExample) -> Witness:
    (honest, other), params = _points(loss, example)
    chances = _chances(loss, honest["pred"])[0]
    costs = [float((chances * _for_all_labels(loss, point, params)[0]).sum()) for point in (honest, other)]
    return Witness("forecast", {"honest": costs[0], "other": costs[1]})


def _calibrated(loss: Loss, example: CounterExample) -> Witness:
    chances = torch.tensor(example.points[0]["chances"], dtype=torch.float64)
    scores, predictions = _candidates(loss, len(chances))
    costs = _for_all_labels(loss, {"pred": predictions}, loss.resolve(dict(example.params))) @ chances
    # Several predictions can be the cheapest, and their costs differ by rounding.
    cheapest = scores[costs <= costs.min() + TIE]
    likeliest = int(chances.argmax())
    others = torch.cat([cheapest[:, :likeliest], cheapest[:, likeliest + 1 :]], -1)
    lead = (cheapest[:, likeliest] - others.amax(-1)).max().item()
    numbers = {"most": chances[likeliest].item(), "lead": lead}
    if loss.input_kind == "multilabel":
        return Witness("answer", {"likeliest": likeliest} | numbers)
    return Witness("decision", {"likeliest": likeliest + 1} | numbers)


def _candidates(loss: Loss, labels: int) -> tuple[Tensor, Tensor]:
    """(G, labels) scores, and the predictions that they make in the shape that the loss takes."""
    if loss.input_kind == "multilabel":
        # A logit is the lead of yes over no.
        return torch.stack([-SCORES / 2, SCORES / 2], -1), SCORES[:, None]
    scores = torch.cartesian_prod(*[SCORES] * labels)
    return scores, scores.softmax(-1) if loss.input_kind in PROBABILITY_KINDS else scores


def _for_all_labels(loss: Loss, inputs: Mapping[str, Tensor], params: Params) -> Tensor:
    """(N, labels): the value of each row, or of each label of a row, for each label it could have."""
    targets = _every_target(loss, inputs["pred"])
    return torch.stack([loss.fn(**{**inputs, "target": target}, **params) for target in targets], -1).flatten(0, -2)


def _every_target(loss: Loss, pred: Tensor) -> list[Tensor]:
    if loss.input_kind == "distributions":
        return [corner.expand_as(pred) for corner in torch.eye(pred.shape[-1], dtype=pred.dtype)]
    if loss.input_kind in CLASS_KINDS:
        return [torch.full(pred.shape[:-1], k) for k in range(pred.shape[-1])]
    return [torch.full_like(pred, k) for k in ((-1, 1) if loss.input_kind == "margin" else (0, 1))]


def _chances(loss: Loss, pred: Tensor) -> Tensor:
    """(N, labels): the probabilities that the scores stand for."""
    match loss.input_kind:
        case "classes" | "tokens":
            return pred.softmax(-1).flatten(0, -2)
        case "probabilities" | "distributions":
            return pred
        case "log_probabilities":
            return pred.exp()
        case "binary_probabilities":
            return torch.stack([1 - pred, pred], -1)
        case _:
            return torch.stack([(-pred).sigmoid(), pred.sigmoid()], -1).flatten(0, -2)


_SHOW: Mapping[str, Callable[[Loss, CounterExample], Witness]] = {
    "convex_in_pred": _convex,
    "convex_in_logits": _convex,
    "bounded": _bounded,
    "lipschitz": _steep,
    "smooth": _smooth,
    "robust": _robust,
    "symmetric": _symmetric,
    "proper": _proper,
    "calibrated": _calibrated,
    "scale_invariant": _scaled,
}
