"""A straight line through the inputs of any loss: one number moves, all else stays where a small example has it.

The catalogue draws every loss along its slice; ``example`` gives the inputs where a newcomer finds them.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lossviz.losses.entry import InputKind, Inputs, Loss, split_weight


@dataclass(frozen=True, slots=True)
class Slice:
    """The line ``origin + x * direction``.

    Attributes:
        label: what moves, the axis's title.
        origin: all inputs of the loss at 0, float64.
        direction: for each input that moves, how far at ``x = 1``; ``"model.2.weight"`` for a network's weight.
        low: where the line begins.
        high: where it ends.
        start: where a newcomer finds it.
    """

    label: str
    origin: Inputs
    direction: Mapping[str, Tensor]
    low: float
    high: float
    start: float

    def at(self, x: float) -> dict[str, Any]:
        """The inputs at ``x``; what does not move is shared, networks are copies."""
        inputs = dict(self.origin)
        for name, step in self.direction.items():
            owner, weight = split_weight(name)
            if weight:
                inputs[owner] = deepcopy(inputs[owner])
                with torch.no_grad():
                    inputs[owner].get_parameter(weight).add_(step, alpha=x)
            else:
                inputs[name] = inputs[name] + x * step
        return inputs


def slice_of(loss: Loss) -> Slice:
    """The loss's slice."""
    return _SLICES[loss.input_kind](loss)


def example(loss: Loss) -> dict[str, Any]:
    """Small ordinary inputs of the loss, float64, inside its domain for every parameter value at its default."""
    line = slice_of(loss)
    return line.at(line.start)


def _t(*values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _i(*values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.int64)


def _along(
    label: str, low: float, high: float, start: float, moving: Mapping[str, tuple[Tensor, Tensor]], **still: Any
) -> Slice:
    """A slice from ``moving``, each name with its origin and direction, and the inputs that stand still."""
    origin = {name: origin for name, (origin, _) in moving.items()}
    return Slice(label, origin | still, {name: step for name, (_, step) in moving.items()}, low, high, start)


def _first_of(tensor: Tensor) -> Tensor:
    """1 at the tensor's first value, 0 elsewhere."""
    step = torch.zeros_like(tensor)
    step.view(-1)[0] = 1.0
    return step


def _free_first(*values: Any) -> tuple[Tensor, Tensor]:
    """The values, and the direction of the first of them; that one is where the slice says."""
    origin = _t(*values)
    return origin, _first_of(origin)


# --- a number and its label


def _regression(loss: Loss) -> Slice:
    return _along("Prediction", -5, 5, 2, {"pred": _free_first(0)}, target=_t(0.5))


def _nonnegative(loss: Loss) -> Slice:
    return _along("Prediction", 0, 10, 6, {"pred": _free_first(0)}, target=_t(3))


def _positive(loss: Loss) -> Slice:
    return _along("Predicted mean", 0.1, 10, 6, {"pred": _free_first(0)}, target=_t(3))


def _counts(loss: Loss) -> Slice:
    return _along("Prediction", -3, 5, 2, {"pred": _free_first(0)}, target=_t(3))


def _mean_variance(loss: Loss) -> Slice:
    return _along("Predicted mean", -5, 5, 2, {"pred": _free_first(0)}, target=_t(0.5), var=_t(1))


def _robust_shape(loss: Loss) -> Slice:
    shape = {"alpha": _t(1).squeeze(), "c": _t(1).squeeze()}
    return _along("Prediction", -5, 5, 2, {"pred": _free_first(0)}, target=_t(0.5), **shape)


def _regression_batch(loss: Loss) -> Slice:
    pred = _free_first(0, 1, -0.5)
    return _along("Prediction of the first of three samples", -5, 5, 2, {"pred": pred}, target=_t(0.5, 0.5, 0))


def _nonnegative_batch(loss: Loss) -> Slice:
    pred = _free_first(0, 2, 4)
    return _along("Prediction of the first of three samples", 0, 10, 6, {"pred": pred}, target=_t(3, 2.5, 3))


# --- scores, logits or probabilities and a class


def _binary(loss: Loss) -> Slice:
    return _along("Logit, label 1", -6, 6, -1.5, {"pred": _free_first(0)}, target=_t(1))


def _binary_probabilities(loss: Loss) -> Slice:
    return _along("Probability, label 1", 0.01, 0.99, 0.3, {"pred": _free_first(0)}, target=_t(1))


def _margin(loss: Loss) -> Slice:
    return _along("Score, label +1", -3, 3, -0.5, {"pred": _free_first(0)}, target=_t(1))


def _multilabel(loss: Loss) -> Slice:
    return _along("Logit of the present label", -6, 6, -1, {"pred": _free_first([0, 1, -2])}, target=_t([1, 0, 0]))


def _classes(loss: Loss) -> Slice:
    still = {"target": _i(0)} | ({"weight": _t(1, 1, 1)} if "weight" in loss.inputs else {})
    return _along("Logit of the right class", -6, 6, -1, {"pred": _free_first([0, 0.5, -0.5])}, **still)


def _mixture(start: Any, end: Any) -> tuple[Tensor, Tensor]:
    """From one distribution to another as x goes from 0 to 1."""
    return _t(start), _t(end) - _t(start)


def _log_probabilities(loss: Loss) -> Slice:
    # Only the right class moves: that the three then add up to something else than 1 is this loss's own pitfall.
    pred = _free_first([0, -1.2, -1.6])
    return _along("Log-probability of the right class", -5, -0.05, -1.2, {"pred": pred}, target=_i(0))


def _probabilities(loss: Loss) -> Slice:
    pred = _mixture([0.05, 0.7, 0.25], [0.95, 0.03, 0.02])
    return _along("From a wrong forecast (0) to the right one (1)", 0, 1, 0.3, {"pred": pred}, target=_i(0))


def _distributions(loss: Loss) -> Slice:
    pred = _mixture([0.9, 0.08, 0.02], [0.02, 0.08, 0.9])
    return _along(
        "Forecast, from left-heavy (0) to right-heavy (1)", 0, 1, 0.8, {"pred": pred}, target=_t([0.5, 0.3, 0.2])
    )


def _logits(loss: Loss) -> Slice:
    return _along("First logit, no label", -6, 6, 2, {"pred": _free_first([0, 0.5, -0.5])})


# --- embeddings


def _pairs(loss: Loss) -> Slice:
    x1 = _free_first([0, 0.3])
    return _along("First coordinate of the moved point", -3, 3, -0.5, {"x1": x1}, x2=_t([1, 0.5]))


def _pairs_labelled(loss: Loss) -> Slice:
    # One partner to come close to, one to keep away from; the two losses call the latter -1 and 0.
    x1 = _t([0, 0.3], [0, 0.3]), _t([1, 0], [1, 0])
    target = _t(1, -1 if loss.key == "cosine_embedding" else 0)
    label = "First coordinate of the moved point"
    return _along(label, -3, 3, -0.5, {"x1": x1}, x2=_t([1, 0.5], [-1, 0.4]), target=target)


def _triplets(loss: Loss) -> Slice:
    anchor = _free_first([0, 0])
    others = {"positive": _t([1, 0.5]), "negative": _t([-1, 0.5])}
    return _along("First coordinate of the anchor", -3, 3, -0.5, {"anchor": anchor}, **others)


def _labelled_embeddings(loss: Loss) -> Slice:
    pred = _free_first([0, 0.4], [1, 0.5], [-1, 0.6], [-0.8, -0.5])
    return _along("First coordinate of the first of four points", -3, 3, -0.5, {"pred": pred}, target=_i(0, 0, 1, 1))


def _centres(loss: Loss) -> Slice:
    centres = {loss.differentiable[1]: _t([1, 0.3], [-1, 0.5], [0, -1])}
    label = "First coordinate of the embedding"
    return _along(label, -3, 3, -0.5, {"pred": _free_first([0, 0.4])}, target=_i(0), **centres)


def _views(loss: Loss) -> Slice:
    moved, other = loss.inputs
    first = _free_first([0, 0.4], [-0.7, 0.9], [0.4, -1.1], [-0.9, -0.6])
    second = _t([0.9, 0.5], [-0.8, 0.7], [0.5, -0.9], [-0.6, -0.8])
    return _along("First coordinate of the first of four points", -3, 3, -0.5, {moved: first}, **{other: second})


# --- lists of scores


def _ranking_pairs(loss: Loss) -> Slice:
    x1 = _free_first(0)
    return _along("Score of the item that should be first", -3, 3, -0.5, {"x1": x1}, x2=_t(0.5), target=_t(1))


def _rankings(loss: Loss) -> Slice:
    scores = _free_first([0, 0.5, -0.5, 1])
    return _along(
        "Score of the most relevant of four items", -4, 4, -0.3, {"scores": scores}, relevance=_t([3, 2, 0, 1])
    )


# --- boxes, images, sequences


def _boxes(loss: Loss) -> Slice:
    pred = _t([0, 1.5, 3, 4.5]), _t([1, 0, 1, 0])
    return _along("Left edge of the predicted box", -5, 7, 2.5, {"pred": pred}, target=_t([1, 1, 4, 4]))


def _box_deltas(loss: Loss) -> Slice:
    return _along(
        "First of four offsets", -4, 4, 2, {"pred": _free_first([0, 0.2, -0.1, 0.3])}, target=_t([0.5, 0, 0, 0])
    )


_OBJECT = ((0, 0, 0, 0), (0, 1, 1, 0), (0, 1, 1, 0), (0, 0, 0, 0))


def _masks(loss: Loss) -> Slice:
    target = _t([[*_OBJECT]])
    pred = 0.15 * (1 - target), target
    return _along("Predicted probability inside the object", 0.01, 0.99, 0.4, {"pred": pred}, target=target)


def _mask_logits(loss: Loss) -> Slice:
    target = _t([*_OBJECT])
    return _along("Logit inside the object", -4, 4, -0.5, {"pred": (target - 1, target)}, target=target)


def _class_masks(loss: Loss) -> Slice:
    target = _i([*_OBJECT])
    inside = _t([*_OBJECT])
    # Outside the object the background is nearly certain; inside, what the object gains the background loses.
    background, present = 0.85 * (1 - inside) + inside, 0.15 * (1 - inside)
    pred = torch.stack([background, present], 1), torch.stack([-inside, inside], 1)
    return _along("Predicted probability inside the object", 0.01, 0.99, 0.4, {"pred": pred}, target=target)


def _tokens(loss: Loss) -> Slice:
    pred = _free_first([[0, 0.5, -0.5, 0.2], [0.1, 0.2, 1.5, -0.3], [0.3, -0.2, 0.1, 0.9], [0, 0, 0, 0]])
    moved = pred[0].clone(), torch.roll(pred[1], 1, -1)
    return _along("Logit of the first token, of three and padding", -6, 6, -1, {"pred": moved}, target=_i([1, 2, 3, 0]))


def _ctc(loss: Loss) -> Slice:
    pred = _t([[1, 0.5, -0.5], [0.2, 0, -0.4], [0.8, 0.3, 0.1], [0.1, -0.6, 0.9], [1.1, -0.2, 0.3]])
    step = torch.zeros_like(pred)
    step[0, 1, 1] = 1.0
    lengths = {"input_lengths": _i(5), "target_lengths": _i(2)}
    return _along(
        "Logit of the first label in the second frame", -6, 6, -1, {"pred": (pred, step)}, target=_i([1, 2]), **lengths
    )


def _rnnt(loss: Loss) -> Slice:
    frames = torch.linspace(-1, 1, 36, dtype=torch.float64).reshape(1, 4, 3, 3).sin()
    step = torch.zeros_like(frames)
    step[0, 1, 0, 1] = 1.0
    lengths = {"input_lengths": _i(4), "target_lengths": _i(2)}
    return _along(
        "Logit of the first label in the second frame",
        -6,
        6,
        -1,
        {"pred": (frames, step)},
        target=_i([1, 2]),
        **lengths,
    )


# --- two networks, or a network and its inputs


def _critic(loss: Loss) -> Slice:
    fake = _free_first(0, -0.5)
    return _along("Critic's score of the first generated sample", -4, 4, 1, {"fake": fake}, real=_t(1.5, 0.5))


def _critic_model(loss: Loss) -> Slice:
    network = nn.Sequential(
        _linear([[1, 0.5], [-0.7, 1.2], [0.3, -0.9]], [0.1, -0.2, 0.3]), nn.Tanh(), _linear([[1.1, -0.6, 0.8]], [0])
    )
    samples = {"real": _t([1, 0.5], [0.6, 1.1]), "eps": _t(0.4, 0.7)}
    fake = _free_first([0, -0.4], [-0.8, 0.3])
    return _along(
        "First coordinate of a generated sample",
        -3,
        3,
        -1,
        {"fake": fake},
        model=nn.Sequential(*network, nn.Flatten(0)),
        **samples,
    )


def _linear(weight: Any, bias: Any) -> nn.Linear:
    layer = nn.Linear(len(weight[0]), len(weight), dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(_t(*weight))
        layer.bias.copy_(_t(*bias))
    return layer


def _classifier() -> nn.Sequential:
    hidden = _linear([[1.5, -0.8], [-1.1, 1.3], [0.6, 0.9], [-0.4, -1.2]], [0.1, -0.2, 0.3, 0])
    return nn.Sequential(
        hidden, nn.Tanh(), _linear([[0, 0.7, -0.5, 0.2], [-0.9, 0.4, 0.8, 0.1], [0.3, -0.6, 0.5, 0.9]], [0.1, 0, -0.1])
    )


def _by_a_weight(loss: Loss, **others: Any) -> Slice:
    network = _classifier()
    step = {"model.2.weight": _first_of(network[2].get_parameter("weight").detach())}
    return Slice("A weight of the network's last layer", {"model": network, **others}, step, -4, 4, -1)


def _model(loss: Loss) -> Slice:
    return _by_a_weight(loss, x=_t([0.8, 0.3], [0.2, 0.6]), target=_i(0, 1))


def _model_directions(loss: Loss) -> Slice:
    return _by_a_weight(loss, x=_t([0.8, 0.3], [0.2, 0.6]), d0=_t([1, -0.5], [0.4, 0.9]))


def _clean_adversarial(loss: Loss) -> Slice:
    adv = _free_first([0, 0.5, -0.5])
    label = "Logit of the right class, attacked input"
    return _along(label, -6, 6, -1, {"adv": adv}, clean=_t([1.5, 0.2, -0.4]), target=_i(0))


def _student_teacher(loss: Loss) -> Slice:
    others = {"teacher": _t([2, 1, -1]), "target": _i(0)}
    return _along("Student's logit of the right class", -6, 6, -1, {"pred": _free_first([0, 0.5, -0.5])}, **others)


def _teacher(loss: Loss) -> Slice:
    pred = _free_first([0, 0.5, -0.5])
    return _along("Student's logit of the first class", -6, 6, -1, {"pred": pred}, teacher=_t([2, 1, -1]))


def _peers(loss: Loss) -> Slice:
    others = {"peers": _t([[2, 1, -1]], [[0.5, 1, 0]]), "target": _i(0)}
    return _along("Own logit of the right class", -6, 6, -1, {"pred": _free_first([0, 0.5, -0.5])}, **others)


def _weak_strong(loss: Loss) -> Slice:
    strong = _free_first([0, 0.5, -0.5])
    label = "Logit of the guessed class, heavily changed input"
    return _along(label, -6, 6, -1, {"strong": strong}, weak=_t([5, 0.5, 0.2]))


def _reconstruction(loss: Loss) -> Slice:
    return _along(
        "First of three pixels, 1 in the input",
        0.01,
        0.99,
        0.3,
        {"pred": _free_first([0, 0.2, 0.9])},
        target=_t([1, 0, 1]),
    )


def _vae(loss: Loss) -> Slice:
    others = {"pred": _t([0.7, 0.2, 0.9]), "target": _t([1, 0, 1]), "logvar": _t([0, -0.5])}
    return _along("Mean of the first code", -3, 3, 1.5, {"mu": _free_first([0, 0.5])}, **others)


# --- several tasks, weights of a network, losses of samples


def _tasks(loss: Loss) -> Slice:
    return _along("Loss of the first of two tasks", 0, 5, 2, {"losses": _free_first(0, 0.8)}, weights=_t(1, 0.5))


def _task_variances(loss: Loss) -> Slice:
    return _along(
        "Log-variance of the first of two tasks", -3, 4, -1, {"log_var": _free_first(0, 0.3)}, losses=_t(1.5, 0.5)
    )


def _task_norms(loss: Loss) -> Slice:
    progress = {"losses": _t(0.9, 0.4), "initial_losses": _t(1, 1), "grad_norms": _t(1.5, 0.6)}
    weights = _t(0, 2), _t(1, -1)
    return _along("Weight of the first of two tasks, adding up to 2", 0.05, 1.95, 1.4, {"weights": weights}, **progress)


def _task_history(loss: Loss) -> Slice:
    epochs = {"prev1": _t(0.9, 0.6), "prev2": _t(1, 1)}
    return _along("Loss of the first of two tasks", 0, 5, 2, {"losses": _free_first(0, 0.8)}, **epochs)


def _task_gradients(loss: Loss) -> Slice:
    grads = _free_first([0, 1], [1, 0.2])
    return _along("First coordinate of the first task's gradient", -3, 3, -1.5, {"grads": grads})


def _per_sample(loss: Loss) -> Slice:
    return _along("Loss of the first of four samples", 0, 5, 2.5, {"losses": _free_first(0, 0.3, 1.2, 2)})


def _parameters(loss: Loss) -> Slice:
    return _along("First of three weights", -2, 2, 1, {"w": _free_first(0, 0.5, -0.2)})


def _activations(loss: Loss) -> Slice:
    return _along(
        "Activation of a unit for one of two inputs",
        0.01,
        0.99,
        0.5,
        {"activations": _free_first([0, 0.1], [0.1, 0.02])},
    )


_SLICES: Mapping[InputKind, Callable[[Loss], Slice]] = {
    "regression": _regression,
    "nonnegative": _nonnegative,
    "positive": _positive,
    "counts": _counts,
    "mean_variance": _mean_variance,
    "robust_shape": _robust_shape,
    "regression_batch": _regression_batch,
    "nonnegative_batch": _nonnegative_batch,
    "binary": _binary,
    "binary_probabilities": _binary_probabilities,
    "margin": _margin,
    "multilabel": _multilabel,
    "classes": _classes,
    "log_probabilities": _log_probabilities,
    "probabilities": _probabilities,
    "distributions": _distributions,
    "logits": _logits,
    "pairs": _pairs,
    "pairs_labelled": _pairs_labelled,
    "triplets": _triplets,
    "views": _views,
    "labelled_embeddings": _labelled_embeddings,
    "centres": _centres,
    "ranking_pairs": _ranking_pairs,
    "rankings": _rankings,
    "boxes": _boxes,
    "box_deltas": _box_deltas,
    "masks": _masks,
    "mask_logits": _mask_logits,
    "class_masks": _class_masks,
    "tokens": _tokens,
    "ctc": _ctc,
    "rnnt": _rnnt,
    "critic": _critic,
    "critic_model": _critic_model,
    "model": _model,
    "model_directions": _model_directions,
    "clean_adversarial": _clean_adversarial,
    "student_teacher": _student_teacher,
    "peers": _peers,
    "teacher": _teacher,
    "weak_strong": _weak_strong,
    "reconstruction": _reconstruction,
    "vae": _vae,
    "tasks": _tasks,
    "task_variances": _task_variances,
    "task_norms": _task_norms,
    "task_history": _task_history,
    "task_gradients": _task_gradients,
    "per_sample": _per_sample,
    "parameters": _parameters,
    "groups": _parameters,
    "activations": _activations,
}
