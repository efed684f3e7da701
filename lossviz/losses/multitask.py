"""Ways to combine the losses or gradients of several tasks."""

import torch
from torch import Tensor

from lossviz.losses._checks import check_finite, require_axes, require_floating
from lossviz.losses.entry import Code, Inputs, Line, Loss, Params, Properties

# --- PCGrad


def pcgrad(*, grads: Tensor) -> Tensor:
    """Takes from each task's gradient what works against another task, one task after the other in natural order.

    Args:
        grads: gradient of each task, shape ``(T, D)``.

    Returns:
        The projected gradients, shape ``(T, D)``; their sum over the tasks is the step to take.

    Raises:
        ValueError: shape or dtype do not fit, or there is no task.

    Reference: Yu et al. (2020), arXiv:2001.06782. There the order is random.
    """
    require_floating(grads=grads)
    require_axes("(T, D)", grads=grads)
    projected = grads
    others = ~torch.eye(len(grads), dtype=torch.bool, device=grads.device)
    for j, other in enumerate(grads.unbind()):
        along = (projected * other).sum(-1) / (other * other).sum().clamp(min=torch.finfo(grads.dtype).tiny)
        conflict = (along < 0) & others[j]
        projected = projected - torch.where(conflict, along, torch.zeros_like(along))[:, None] * other
    return projected


def _pcgrad_outputs(*, grads: Tensor) -> dict[str, Tensor]:
    projected = pcgrad(grads=grads)
    return {"projected": projected, "combined": projected.sum(0)}


def _check_grads(inputs: Inputs, params: Params) -> None:
    require_floating(grads=inputs["grads"])
    require_axes("(T, D)", grads=inputs["grads"])
    check_finite(grads=inputs["grads"])


def _conflicts(*, grads: Tensor) -> Tensor:
    return grads @ grads.T


def _pcgrad_line(*, grads: Tensor) -> Tensor:
    rows: list[Tensor] = []
    for i, own in enumerate(grads):
        a = own
        for j, other in enumerate(grads):
            if i != j and torch.dot(a, other) < 0:
                a = a - torch.dot(a, other) / torch.dot(other, other) * other
        rows.append(a)
    return torch.stack(rows)


PCGRAD = Loss(
    key="pcgrad",
    name="PCGrad gradient surgery",
    family="multitask",
    input_kind="task_gradients",
    inputs={"grads": "gradient of each task, (T, D)"},
    differentiable=(),
    fn=pcgrad,
    denominator=None,
    check=_check_grads,
    grad=None,
    formula=(
        Line(r"c_{ij} = g_i \cdot g_j", _conflicts),
        Line(
            r"a_i = g_i; \; \text{for } j \ne i: \; a_i \leftarrow a_i - "
            r"\frac{\min(a_i \cdot g_j, 0)}{\lVert g_j \rVert^2} g_j",
            _pcgrad_line,
        ),
    ),
    gradient=r"g = \sum_i a_i",
    params={},
    properties=Properties(),
    pitfalls=(
        "The paper visits the other tasks in random order; with three tasks or more the order changes the result.",
        "It projects on the other tasks' original gradients, not on those already projected.",
        "The step is the sum of the projected gradients; dividing by the number of tasks is a smaller learning rate.",
    ),
    reference="Yu et al. (2020), Gradient surgery for multi-task learning, arXiv:2001.06782.",
    code=Code(
        pytorch="import torch\n\n"
        "rows = []\n"
        "for i, own in enumerate(grads):\n"
        "    a = own.clone()\n"
        "    for j, other in enumerate(grads):\n"
        "        if i != j and a @ other < 0:\n"
        "            a -= (a @ other) / (other @ other) * other\n"
        "    rows.append(a)\n"
        "loss = torch.stack(rows).sum(0)\n",
        keras=None,
        optax=None,
        note="The result is the combined gradient, not a loss.",
    ),
    outputs=_pcgrad_outputs,
    returns="gradients",
)


LOSSES: tuple[Loss, ...] = (PCGRAD,)
