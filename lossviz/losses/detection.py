"""Losses between boxes, given by their corners ``x1, y1, x2, y2``, and between the offsets that lead to them."""

import math

import torch
from torch import Tensor
from torch.nn.functional import smooth_l1_loss

from lossviz.losses._checks import check_finite, check_where, require_rows
from lossviz.losses.entry import (
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

_BOXES = {"pred": "boxes x1, y1, x2, y2, (N, 4)", "target": "boxes x1, y1, x2, y2, (N, 4)"}
_ALL_BOXES = "all boxes with x1 at most x2 and y1 at most y2"
_SWAP = "exchanging the box and its label"
_EPS = {"eps": Number("Added to what is divided by, in squared units of the boxes.", 1e-7, 1e-12, 1e-2, "log")}


# --- what the losses of boxes share; sides and corners are (N, 2), x before y


def _require_boxes(pred: Tensor, target: Tensor) -> None:
    require_rows(pred=pred, target=target)
    if pred.shape[1] != 4:
        raise ValueError(f"pred has shape {tuple(pred.shape)}, allowed: (N, 4), corners x1, y1, x2, y2")


def _check_boxes(inputs: Inputs, params: Params) -> None:
    pred, target = inputs["pred"], inputs["target"]
    _require_boxes(pred, target)
    check_finite(pred=pred, target=target)
    for name, boxes in (("pred", pred), ("target", target)):
        ordered = boxes[:, :2] <= boxes[:, 2:]
        check_where(name, boxes, torch.cat([ordered, torch.ones_like(ordered)], -1), "x1 at most x2 and y1 at most y2")


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return boxes[:, :2], boxes[:, 2:]


def _sides(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def _common_sides(pred: Tensor, target: Tensor) -> Tensor:
    """Sides of the overlap; 0 where the boxes are apart."""
    (low, high), (target_low, target_high) = _corners(pred), _corners(target)
    return (high.minimum(target_high) - low.maximum(target_low)).relu()


def _outer_sides(pred: Tensor, target: Tensor) -> Tensor:
    """Sides of the smallest box around both."""
    (low, high), (target_low, target_high) = _corners(pred), _corners(target)
    return high.maximum(target_high) - low.minimum(target_low)


def _areas(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Area of the overlap and of the union, (N,)."""
    common = _common_sides(pred, target).prod(-1)
    return common, _sides(pred).prod(-1) + _sides(target).prod(-1) - common


def _overlap(pred: Tensor, target: Tensor, eps: float) -> Tensor:
    common, union = _areas(pred, target)
    return common / (union + eps)


def _offset(pred: Tensor, target: Tensor) -> Tensor:
    """From the label's centre to the prediction's."""
    # Corner by corner: far from the origin the difference of two centres has lost its digits.
    shift = pred - target
    return (shift[:, :2] + shift[:, 2:]) / 2


# --- their slopes by the four numbers of the prediction, (N, 4)


def _ahead(a: Tensor, b: Tensor) -> Tensor:
    """The share of a in the slope of ``max(a, b)``: 1 where it is larger, one half where they are equal."""
    return ((a - b).sign() + 1) / 2


def _common_slope(pred: Tensor, target: Tensor) -> Tensor:
    (low, high), (target_low, target_high) = _corners(pred), _corners(target)
    sides = _common_sides(pred, target)
    other = sides.flip(-1) * (sides > 0).to(pred.dtype)
    return torch.cat([-_ahead(low, target_low) * other, _ahead(target_high, high) * other], -1)


def _union_slope(pred: Tensor, target: Tensor) -> Tensor:
    other = _sides(pred).flip(-1)
    return torch.cat([-other, other], -1) - _common_slope(pred, target)


def _outer_slopes(pred: Tensor, target: Tensor, by_side: Tensor) -> Tensor:
    """Slopes of what has the slope ``by_side`` by each side of the outer box."""
    (low, high), (target_low, target_high) = _corners(pred), _corners(target)
    return torch.cat([-_ahead(target_low, low) * by_side, _ahead(high, target_high) * by_side], -1)


def _overlap_slope(pred: Tensor, target: Tensor, eps: float) -> Tensor:
    common, union = (area[:, None] for area in _areas(pred, target))
    ratio = common / (union + eps)
    return (_common_slope(pred, target) - ratio * _union_slope(pred, target)) / (union + eps)


def _distance_slope(pred: Tensor, target: Tensor, eps: float) -> Tensor:
    offset, sides = _offset(pred, target), _outer_sides(pred, target)
    diagonal = (sides.square().sum(-1) + eps)[:, None]
    ratio = offset.square().sum(-1, keepdim=True) / diagonal
    return (torch.cat([offset, offset], -1) - ratio * _outer_slopes(pred, target, 2 * sides)) / diagonal


# --- lines of formulas


def _common_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    start, end = torch.stack([pred, target])[..., :2].amax(0), torch.stack([pred, target])[..., 2:].amin(0)
    width, height = (end - start).clamp(min=0).unbind(-1)
    return width * height


def _area(boxes: Tensor) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1) * (y2 - y1)


def _union_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _area(pred) + _area(target) - _common_line(pred=pred, target=target)


def _iou_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    # (U - I + eps) / (U + eps), so that it is no copy of the function.
    common, union = _common_line(pred=pred, target=target), _union_line(pred=pred, target=target)
    return (union - common + eps) / (union + eps)


def _outer_box(pred: Tensor, target: Tensor) -> Tensor:
    both = torch.stack([pred, target])
    return torch.cat([both[..., :2].amin(0), both[..., 2:].amax(0)], -1)


def _outer_area_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _area(_outer_box(pred, target))


def _giou_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    outer, union = _outer_area_line(pred=pred, target=target), _union_line(pred=pred, target=target)
    return 1 + _iou_line(pred=pred, target=target, eps=eps) - (union + eps) / (outer + eps)


def _distance_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    x1, y1, x2, y2 = (pred - target).unbind(-1)
    return ((x1 + x2) / 2) ** 2 + ((y1 + y2) / 2) ** 2


def _diagonal_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    x1, y1, x2, y2 = _outer_box(pred, target).unbind(-1)
    return (x2 - x1) ** 2 + (y2 - y1) ** 2


def _diou_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    apart = _distance_line(pred=pred, target=target) / (_diagonal_line(pred=pred, target=target) + eps)
    return _iou_line(pred=pred, target=target, eps=eps) + apart


# --- lines of derivations: how something moves with each of x1, y1, x2, y2, (N, 4)


def _outwards(boxes: Tensor) -> Tensor:
    """Which way each number has to go for its side to grow."""
    return boxes.new_tensor([-1.0, -1.0, 1.0, 1.0])


def _at_both_ends(of_axes: Tensor) -> Tensor:
    """From (N, 2), what belongs to x and to y."""
    return torch.cat([of_axes, of_axes], -1)


def _limits(ahead: Tensor) -> Tensor:
    """Whether a number alone sets an edge; it has half a say where both boxes do."""
    return ahead.heaviside(ahead.new_tensor(0.5))


def _common_sides_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    out = _outwards(pred)
    return out * _limits(out * (target - pred))


def _common_area_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    sides = _common_sides(pred, target)
    across = _at_both_ends(sides.flip(-1) * (sides > 0).to(pred.dtype))
    return _common_sides_slope(pred=pred, target=target) * across


def _union_area_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    across = _at_both_ends(_sides(pred).flip(-1))
    return _outwards(pred) * across - _common_area_slope(pred=pred, target=target)


def _iou_slope(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    common = _common_line(pred=pred, target=target)[:, None]
    bottom = _union_line(pred=pred, target=target)[:, None] + eps
    by_union = common * _union_area_slope(pred=pred, target=target)
    return (by_union - bottom * _common_area_slope(pred=pred, target=target)) / bottom**2


def _outer_sides_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    out = _outwards(pred)
    return out * _limits(out * (pred - target))


def _outer_area_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    across = _at_both_ends(_outer_sides(pred, target).flip(-1))
    return _outer_sides_slope(pred=pred, target=target) * across


def _giou_slope(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    top = _union_line(pred=pred, target=target)[:, None] + eps
    bottom = _outer_area_line(pred=pred, target=target)[:, None] + eps
    by_outer = top * _outer_area_slope(pred=pred, target=target) / bottom**2
    by_union = _union_area_slope(pred=pred, target=target) / bottom
    return _iou_slope(pred=pred, target=target, eps=eps) + by_outer - by_union


def _squared_distance_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return _at_both_ends(2 * _offset(pred, target) / 2)


def _squared_diagonal_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return 2 * _at_both_ends(_outer_sides(pred, target)) * _outer_sides_slope(pred=pred, target=target)


def _diou_slope(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    top = _distance_line(pred=pred, target=target)[:, None]
    bottom = _diagonal_line(pred=pred, target=target)[:, None] + eps
    by_distance = bottom * _squared_distance_slope(pred=pred, target=target)
    by_diagonal = top * _squared_diagonal_slope(pred=pred, target=target)
    return _iou_slope(pred=pred, target=target, eps=eps) + (by_distance - by_diagonal) / bottom**2


_OVERLAP_SLOPES = (
    Line(
        r"\Delta x = \min(x_2, x_{2,t}) - \max(x_1, x_{1,t}): \quad \frac{\partial \Delta x}{\partial x_1} = "
        r"-[x_1 > x_{1,t}], \; \frac{\partial \Delta x}{\partial x_2} = [x_2 < x_{2,t}], \quad \text{alike for } y",
        _common_sides_slope,
    ),
    Line(
        r"\frac{\partial I}{\partial x_j} = [\Delta x > 0]\, \frac{\partial \Delta x}{\partial x_j} \max(0, \Delta y), "
        r"\quad \text{alike for } y",
        _common_area_slope,
    ),
    Line(
        r"A_p = w h: \quad \frac{\partial U}{\partial b} = \frac{\partial A_p}{\partial b} - "
        r"\frac{\partial I}{\partial b}, \quad \frac{\partial A_p}{\partial x_j} = \mp h, \; "
        r"\frac{\partial A_p}{\partial y_j} = \mp w",
        _union_area_slope,
    ),
)
_IOU_SLOPE_LATEX = (
    r"\frac{I \frac{\partial U}{\partial b} - (U + \varepsilon) \frac{\partial I}{\partial b}}{(U + \varepsilon)^2}"
)
_IOU_SLOPE = Line(
    r"\frac{\partial \ell_\mathrm{IoU}}{\partial b} = -\frac{\partial}{\partial b} \frac{I}{U + \varepsilon} = "
    + _IOU_SLOPE_LATEX,
    _iou_slope,
)
_COMMON = Line(r"I = \max(0, \Delta x)\, \max(0, \Delta y)", _common_line)
_UNION = Line(r"U = A_p + A_t - I", _union_line)


# --- IoU


def iou(*, pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """One minus the share of the common area in the area that the two boxes cover.

    Args:
        pred: boxes ``x1, y1, x2, y2``, shape ``(N, 4)``, in pixels or any other unit; ``x1 <= x2``, ``y1 <= y2``.
        target: boxes, same shape and unit.
        eps: added to the union, so that two boxes without area have loss 1; above 0.

    Returns:
        Loss per box, shape ``(N,)``, from 0 (the same box) to 1 (nothing in common), without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Rezatofighi et al. (2019), arXiv:1902.09630.
    """
    _require_boxes(pred, target)
    return 1 - _overlap(pred, target, eps)


def _iou_grad(*, pred: Tensor, target: Tensor, eps: float) -> dict[str, Tensor]:
    return {"pred": -_overlap_slope(pred, target, eps)}


_TINY = {"pred": [[0.0, 0.0, 1e-4, 1e-4]], "target": [[0.0, 0.0, 1e-4, 1e-4]]}
_NEAR, _FAR = [[0.0, 0.0, 2.0, 2.0]], [[6.0, 0.0, 8.0, 2.0]]
_NOT_CONVEX = no(_ALL_BOXES, {"pred": _NEAR, "target": _NEAR}, {"pred": _FAR, "target": _NEAR})
_NOT_LIPSCHITZ = no(
    "all boxes: on thin ones the slope is enormous",
    {"pred": [[0.0, 0.1, 5e-7, 0.9]], "target": [[0.0, 0.0, 1e-6, 1.0]]},
)
_NOT_SMOOTH = no(
    "all boxes; the kinks are where edges meet",
    {"pred": [[10.0, 10.0, 20.0 - 1e-9, 20.0]], "target": [[20.0, 12.0, 30.0, 22.0]]},
    {"pred": [[10.0, 10.0, 20.0 + 1e-9, 20.0]], "target": [[20.0, 12.0, 30.0, 22.0]]},
)
_NOT_SCALE_INVARIANT = no(
    "prediction and label together: boxes much larger than eps hardly notice, those with an area near eps do", _TINY
)
_CORNERS_PITFALL = "It takes corners x1, y1, x2, y2: centre and size in their place give a number too, but a wrong one."
_START = (
    "import torch\n\n"
    "start, end = torch.maximum(pred, target)[:, :2], torch.minimum(pred, target)[:, 2:]\n"
    "common = (end - start).clamp(min=0).prod(-1)\n"
    "area, target_area = (pred[:, 2:] - pred[:, :2]).prod(-1), (target[:, 2:] - target[:, :2]).prod(-1)\n"
    "union = area + target_area - common\n"
    "iou = common / (union + {eps})\n"
)
_OUTER = "outer = torch.maximum(pred, target)[:, 2:] - torch.minimum(pred, target)[:, :2]\n"
_APART = (
    "shift = pred - target\n"
    "offset = (shift[:, :2] + shift[:, 2:]) / 2\n"
    "apart = offset.square().sum(-1) / (outer.square().sum(-1) + {eps})\n"
)

IOU = Loss(
    key="iou",
    name="IoU loss",
    name_zh="交并比损失",
    family="detection",
    tasks=("detection",),
    input_kind="boxes",
    inputs=_BOXES,
    differentiable=("pred",),
    fn=iou,
    denominator=number_of_values,
    check=_check_boxes,
    grad=_iou_grad,
    formula=(_COMMON, _UNION, Line(r"\ell = 1 - \frac{I}{U + \varepsilon}", _iou_line)),
    gradient=r"\frac{\partial \ell}{\partial b} = "
    r"-\frac{1}{U + \varepsilon} \left(\frac{\partial I}{\partial b} - \frac{I}{U + \varepsilon}"
    r"\frac{\partial U}{\partial b}\right), \quad b \in \{x_1, y_1, x_2, y_2\}",
    derivation=(
        *_OVERLAP_SLOPES,
        Line(
            r"\frac{\partial \ell}{\partial b} = -\frac{\partial}{\partial b} \frac{I}{U + \varepsilon} = "
            + _IOU_SLOPE_LATEX,
            _iou_slope,
        ),
    ),
    params=_EPS,
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_BOXES, constant=lambda _: 1.0),
        lipschitz=_NOT_LIPSCHITZ,
        smooth=_NOT_SMOOTH,
        symmetric=yes(_SWAP),
        scale_invariant=_NOT_SCALE_INVARIANT,
    ),
    pitfalls=(
        "Boxes with nothing in common have loss 1 and gradient 0, however far apart they are: nothing pulls them in.",
        _CORNERS_PITFALL,
        "Other papers take minus the logarithm of the overlap under the same name.",
        "In coordinates from 0 to 1 a small box has an area near eps, and then even a perfect one has a loss.",
    ),
    reference="Rezatofighi, Tsoi, Gwak, Sadeghian, Reid and Savarese (2019), Generalized intersection over union: a "
    "metric and a loss for bounding box regression, arXiv:1902.09630; with a logarithm: Yu, Jiang, Wang, Cao and Huang "
    "(2016), UnitBox: an advanced object detection network, arXiv:1608.01471.",
    code=Code(
        pytorch=_START + "loss = (1 - iou).mean()\n",
        keras=None,
        optax=None,
        note="In torchvision, box_iou compares all boxes with all others; one minus its diagonal is this at eps = 0.",
    ),
)


# --- GIoU


def giou(*, pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """IoU loss plus the share of emptiness in the smallest box around both: it pulls when they are apart as well.

    Args:
        pred: boxes ``x1, y1, x2, y2``, shape ``(N, 4)``, in pixels or any other unit; ``x1 <= x2``, ``y1 <= y2``.
        target: boxes, same shape and unit.
        eps: added to the areas divided by; above 0.

    Returns:
        Loss per box, shape ``(N,)``, from 0 (the same box) to 2 (infinitely far apart), without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Rezatofighi et al. (2019), arXiv:1902.09630.
    """
    _require_boxes(pred, target)
    outer, (_, union) = _outer_sides(pred, target).prod(-1), _areas(pred, target)
    return 1 - _overlap(pred, target, eps) + (outer - union) / (outer + eps)


def _giou_grad(*, pred: Tensor, target: Tensor, eps: float) -> dict[str, Tensor]:
    sides = _outer_sides(pred, target)
    outer, union = sides.prod(-1)[:, None], _areas(pred, target)[1][:, None]
    outer_slope = _outer_slopes(pred, target, sides.flip(-1))
    empty = (outer - union) / (outer + eps)
    empty_slope = (outer_slope - _union_slope(pred, target) - empty * outer_slope) / (outer + eps)
    return {"pred": empty_slope - _overlap_slope(pred, target, eps)}


GIOU = Loss(
    key="giou",
    name="Generalised IoU loss",
    name_zh="广义交并比损失",
    family="detection",
    tasks=("detection",),
    input_kind="boxes",
    inputs=_BOXES,
    differentiable=("pred",),
    fn=giou,
    denominator=number_of_values,
    check=_check_boxes,
    grad=_giou_grad,
    formula=(
        _COMMON,
        _UNION,
        Line(r"C = \text{area of the smallest box around both}", _outer_area_line),
        Line(r"\ell = 1 - \frac{I}{U + \varepsilon} + \frac{C - U}{C + \varepsilon}", _giou_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial b} = -\frac{\partial}{\partial b} \frac{I}{U + \varepsilon} + "
    r"\frac{1}{C + \varepsilon} \left(\frac{\partial C}{\partial b} - \frac{\partial U}{\partial b}"
    r" - \frac{C - U}{C + \varepsilon} \frac{\partial C}{\partial b}\right)",
    derivation=(
        *_OVERLAP_SLOPES,
        _IOU_SLOPE,
        Line(
            r"C = c_x c_y: \quad \frac{\partial C}{\partial x_1} = -[x_1 < x_{1,t}]\, c_y, \; "
            r"\frac{\partial C}{\partial x_2} = [x_2 > x_{2,t}]\, c_y, \quad \text{alike for } y",
            _outer_area_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial b} = \frac{\partial \ell_\mathrm{IoU}}{\partial b} + "
            r"\frac{\partial}{\partial b} \left(1 - \frac{U + \varepsilon}{C + \varepsilon}\right) = "
            r"\frac{\partial \ell_\mathrm{IoU}}{\partial b} + "
            r"\frac{U + \varepsilon}{(C + \varepsilon)^2} \frac{\partial C}{\partial b} - "
            r"\frac{1}{C + \varepsilon} \frac{\partial U}{\partial b}",
            _giou_slope,
        ),
    ),
    params=_EPS,
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_BOXES, constant=lambda _: 2.0),
        lipschitz=_NOT_LIPSCHITZ,
        smooth=_NOT_SMOOTH,
        symmetric=yes(_SWAP),
        scale_invariant=_NOT_SCALE_INVARIANT,
    ),
    pitfalls=(
        "Far from its label a box first grows until it touches it, since that fills the surrounding box.",
        "With one box inside the other, or with equal height in line, the added part is 0 and it is the IoU loss.",
        _CORNERS_PITFALL,
        "Two equal boxes without area have loss 1, by eps, and not 0.",
    ),
    reference="Rezatofighi, Tsoi, Gwak, Sadeghian, Reid and Savarese (2019), Generalized intersection over union: a "
    "metric and a loss for bounding box regression, arXiv:1902.09630.",
    code=Code(
        pytorch=_START + _OUTER + "outer_area = outer.prod(-1)\n"
        "loss = (1 - iou + (outer_area - union) / (outer_area + {eps})).mean()\n",
        keras=None,
        optax=None,
        note="In torchvision, generalized_box_iou_loss is the same.",
    ),
)


# --- DIoU


def diou(*, pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """IoU loss plus the squared distance of the centres, relative to the squared diagonal around both boxes.

    Args:
        pred: boxes ``x1, y1, x2, y2``, shape ``(N, 4)``, in pixels or any other unit; ``x1 <= x2``, ``y1 <= y2``.
        target: boxes, same shape and unit.
        eps: added to union and squared diagonal; above 0.

    Returns:
        Loss per box, shape ``(N,)``, from 0 (the same box) to 2 (infinitely far apart), without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Zheng et al. (2020), arXiv:1911.08287.
    """
    _require_boxes(pred, target)
    diagonal = _outer_sides(pred, target).square().sum(-1) + eps
    return 1 - _overlap(pred, target, eps) + _offset(pred, target).square().sum(-1) / diagonal


def _diou_grad(*, pred: Tensor, target: Tensor, eps: float) -> dict[str, Tensor]:
    return {"pred": _distance_slope(pred, target, eps) - _overlap_slope(pred, target, eps)}


DIOU = Loss(
    key="diou",
    name="Distance IoU loss",
    name_zh="距离交并比损失",
    family="detection",
    tasks=("detection",),
    input_kind="boxes",
    inputs=_BOXES,
    differentiable=("pred",),
    fn=diou,
    denominator=number_of_values,
    check=_check_boxes,
    grad=_diou_grad,
    formula=(
        _COMMON,
        _UNION,
        Line(r"\rho^2 = \text{squared distance of the centres}", _distance_line),
        Line(r"c^2 = \text{squared diagonal of the smallest box around both}", _diagonal_line),
        Line(r"\ell = 1 - \frac{I}{U + \varepsilon} + \frac{\rho^2}{c^2 + \varepsilon}", _diou_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial b} = -\frac{\partial}{\partial b} \frac{I}{U + \varepsilon} + "
    r"\frac{1}{c^2 + \varepsilon} \left(\frac{\partial \rho^2}{\partial b} - "
    r"\frac{\rho^2}{c^2 + \varepsilon} \frac{\partial c^2}{\partial b}\right)",
    derivation=(
        *_OVERLAP_SLOPES,
        _IOU_SLOPE,
        Line(
            r"\rho^2 = d_x^2 + d_y^2, \; d_x = \frac{x_1 + x_2 - x_{1,t} - x_{2,t}}{2}: \quad "
            r"\frac{\partial \rho^2}{\partial x_j} = 2 d_x \cdot \tfrac{1}{2} = d_x, \; "
            r"\frac{\partial \rho^2}{\partial y_j} = d_y",
            _squared_distance_slope,
        ),
        Line(
            r"c^2 = c_x^2 + c_y^2: \quad \frac{\partial c^2}{\partial x_1} = -2 c_x [x_1 < x_{1,t}], \; "
            r"\frac{\partial c^2}{\partial x_2} = 2 c_x [x_2 > x_{2,t}], \quad \text{alike for } y",
            _squared_diagonal_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial b} = \frac{\partial \ell_\mathrm{IoU}}{\partial b} + "
            r"\frac{(c^2 + \varepsilon) \frac{\partial \rho^2}{\partial b} - \rho^2 \frac{\partial c^2}{\partial b}}"
            r"{(c^2 + \varepsilon)^2}",
            _diou_slope,
        ),
    ),
    params=_EPS,
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_BOXES, constant=lambda _: 2.0),
        lipschitz=_NOT_LIPSCHITZ,
        smooth=_NOT_SMOOTH,
        symmetric=yes(_SWAP),
        scale_invariant=_NOT_SCALE_INVARIANT,
    ),
    pitfalls=(
        "Both the distance and the diagonal are squared; their plain ratio is another loss.",
        "Moving the box moves the diagonal too, so far away the pull is weaker than the distance suggests.",
        "With equal centres the added part is 0 and only the overlap is left to correct width and height.",
        _CORNERS_PITFALL,
    ),
    reference="Zheng, Wang, Liu, Li, Ye and Ren (2020), Distance-IoU loss: faster and better learning for bounding box "
    "regression, doi:10.1609/aaai.v34i07.6999, arXiv:1911.08287.",
    code=Code(
        pytorch=_START + _OUTER + _APART + "loss = (1 - iou + apart).mean()\n",
        keras=None,
        optax=None,
        note="In torchvision, distance_box_iou_loss is the same.",
    ),
)


# --- CIoU

# Below this length a side is no side: the angle of a point is 0, and its slope, which would overflow, too.
_POINT = 1e-30


def ciou(*, pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    """DIoU loss plus a penalty for the wrong ratio of width to height, weighted more the better the overlap is.

    The weight of the penalty is a constant for the gradient: it takes no part in the slope.

    Args:
        pred: boxes ``x1, y1, x2, y2``, shape ``(N, 4)``, in pixels or any other unit; ``x1 <= x2``, ``y1 <= y2``.
        target: boxes, same shape and unit.
        eps: added to union, squared diagonal and the divisor of the weight; above 0.

    Returns:
        Loss per box, shape ``(N,)``, from 0 (the same box) to 2.5, without unit.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Zheng et al. (2020), arXiv:1911.08287.
    """
    penalty, weight = _aspect(pred, target, eps)
    return diou(pred=pred, target=target, eps=eps) + weight * penalty


def _shape(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Width and height relative to the longer one, which is held constant: no angle depends on it."""
    sides = _sides(boxes)
    longer = sides.detach().amax(-1, keepdim=True)
    point = longer < _POINT
    width, height = (sides / longer.masked_fill(point, 1.0)).unbind(-1)
    return width.masked_fill(point[:, 0], 0.0), height.masked_fill(point[:, 0], 1.0)


def _aspect(pred: Tensor, target: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """The penalty v and its weight, which is detached."""
    _require_boxes(pred, target)
    penalty = 4 / math.pi**2 * (torch.atan2(*_shape(target)) - torch.atan2(*_shape(pred))).square()
    with torch.no_grad():
        weight = penalty / (1 - _overlap(pred, target, eps) + penalty + eps)
    return penalty, weight


def _ciou_grad(*, pred: Tensor, target: Tensor, eps: float) -> dict[str, Tensor]:
    _, weight = _aspect(pred, target, eps)
    width, height = _shape(pred)
    sides = _sides(pred)
    longer = sides.amax(-1)
    point = longer < _POINT
    turn = torch.atan2(*_shape(pred)) - torch.atan2(*_shape(target))
    by_angle = weight * 8 / math.pi**2 * turn / longer.masked_fill(point, 1.0) / (width**2 + height**2)
    by_side = torch.stack([by_angle * height, -by_angle * width], -1).masked_fill(point[:, None], 0.0)
    slope = _diou_grad(pred=pred, target=target, eps=eps)["pred"]
    return {"pred": slope + torch.cat([-by_side, by_side], -1)}


def _angle(boxes: Tensor) -> Tensor:
    width, height = _sides(boxes).unbind(-1)
    point = width.maximum(height) < _POINT
    return torch.complex(height, width).angle().masked_fill(point, 0.0)


def _aspect_line(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (2 / math.pi * (_angle(target) - _angle(pred))) ** 2


def _weight_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    penalty = _aspect_line(pred=pred, target=target)
    return penalty / (_iou_line(pred=pred, target=target, eps=eps) + penalty + eps)


def _ciou_line(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    weighted = _weight_line(pred=pred, target=target, eps=eps) * _aspect_line(pred=pred, target=target)
    return _diou_line(pred=pred, target=target, eps=eps) + weighted


def _angle_slope(*, pred: Tensor, **_: object) -> Tensor:
    sides = _sides(pred)
    point = sides.amax(-1, keepdim=True) < _POINT
    turn = sides.flip(-1) * sides.new_tensor([1.0, -1.0])
    turn = turn / (sides**2).sum(-1, keepdim=True).masked_fill(point, 1.0)
    return _outwards(pred) * _at_both_ends(turn.masked_fill(point, 0.0))


def _aspect_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    apart = (_angle(target) - _angle(pred))[:, None]
    return -8 / math.pi**2 * apart * _angle_slope(pred=pred)


def _ciou_slope(*, pred: Tensor, target: Tensor, eps: float) -> Tensor:
    weight = _weight_line(pred=pred, target=target, eps=eps)[:, None]
    return _diou_slope(pred=pred, target=target, eps=eps) + weight * _aspect_slope(pred=pred, target=target)


CIOU = Loss(
    key="ciou",
    name="Complete IoU loss",
    name_zh="完全交并比损失",
    family="detection",
    tasks=("detection",),
    input_kind="boxes",
    inputs=_BOXES,
    differentiable=("pred",),
    fn=ciou,
    denominator=number_of_values,
    check=_check_boxes,
    grad=_ciou_grad,
    formula=(
        _COMMON,
        _UNION,
        Line(r"\rho^2 = \text{squared distance of the centres}", _distance_line),
        Line(r"c^2 = \text{squared diagonal of the smallest box around both}", _diagonal_line),
        Line(r"v = \frac{4}{\pi^2} \left(\arctan \frac{w_t}{h_t} - \arctan \frac{w}{h}\right)^2", _aspect_line),
        Line(r"\alpha = \frac{v}{1 - \frac{I}{U + \varepsilon} + v + \varepsilon}", _weight_line),
        Line(r"\ell = 1 - \frac{I}{U + \varepsilon} + \frac{\rho^2}{c^2 + \varepsilon} + \alpha v", _ciou_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial b} = \frac{\partial \ell_\mathrm{DIoU}}{\partial b} + "
    r"\alpha \frac{\partial v}{\partial b}, \quad \alpha \text{ constant}",
    derivation=(
        Line(
            r"\frac{\partial \ell_\mathrm{DIoU}}{\partial b} = \frac{\partial}{\partial b} "
            r"\left(1 - \frac{I}{U + \varepsilon} + \frac{\rho^2}{c^2 + \varepsilon}\right)",
            _diou_slope,
        ),
        Line(
            r"\theta = \arctan \frac{w}{h}: \quad \frac{\partial \theta}{\partial x_j} = \mp \frac{h}{w^2 + h^2}, \; "
            r"\frac{\partial \theta}{\partial y_j} = \pm \frac{w}{w^2 + h^2}",
            _angle_slope,
        ),
        Line(
            r"\frac{\partial v}{\partial b} = -\frac{8}{\pi^2} \left(\theta_t - \theta\right) "
            r"\frac{\partial \theta}{\partial b}",
            _aspect_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial b} = \frac{\partial \ell_\mathrm{DIoU}}{\partial b} + "
            r"\alpha \frac{\partial v}{\partial b}, \quad \alpha \text{ constant}",
            _ciou_slope,
        ),
    ),
    detached="the weight of the penalty for the wrong ratio",
    params=_EPS,
    properties=Properties(
        convex_in_pred=_NOT_CONVEX,
        bounded=yes(_ALL_BOXES, constant=lambda _: 2.5),
        lipschitz=_NOT_LIPSCHITZ,
        smooth=_NOT_SMOOTH,
        symmetric=yes(_SWAP),
        scale_invariant=_NOT_SCALE_INVARIANT,
    ),
    pitfalls=(
        "The weight of the penalty is held constant: without that the value is the same and the gradient another one.",
        "The penalty knows the ratio of the sides only, so two wrong sides in the right ratio cost nothing there.",
        "A box without height has the ratio infinity, which is fine; one without any extent has the angle 0 here and "
        "is NaN in libraries that divide width by height.",
        "On small boxes in pixels the slope of the angle is of the order of one over the side.",
        _CORNERS_PITFALL,
    ),
    reference="Zheng, Wang, Liu, Li, Ye and Ren (2020), Distance-IoU loss: faster and better learning for bounding box "
    "regression, doi:10.1609/aaai.v34i07.6999, arXiv:1911.08287.",
    code=Code(
        pytorch=_START + _OUTER + _APART + "width, height = (pred[:, 2:] - pred[:, :2]).unbind(-1)\n"
        "target_width, target_height = (target[:, 2:] - target[:, :2]).unbind(-1)\n"
        "turn = torch.atan2(target_width, target_height) - torch.atan2(width, height)\n"
        "v = 4 / torch.pi**2 * turn.square()\n"
        "with torch.no_grad():\n"
        "    alpha = v / (1 - iou + v + {eps})\n"
        "loss = (1 - iou + apart + alpha * v).mean()\n",
        keras=None,
        optax=None,
        note="In torchvision, complete_box_iou_loss is the same up to eps, which its distance part ignores.",
    ),
)


# --- smooth L1 on offsets


def box_smooth_l1(*, pred: Tensor, target: Tensor, beta: float = 1.0) -> Tensor:
    """Smooth L1 on the four offsets of a box, added up: squared near the label, absolute far from it.

    Args:
        pred: offsets of boxes from their anchors, shape ``(N, 4)``, usually in units of the anchor's size.
        target: offsets, same shape and unit.
        beta: error at which the squared part ends, in the unit of the offsets; above 0.

    Returns:
        Loss per box, shape ``(N,)``, in the unit of the offsets.

    Raises:
        ValueError: shapes or dtypes do not fit, or the batch is empty.

    Reference: Girshick (2015), arXiv:1504.08083.
    """
    _require_offsets(pred, target)
    return smooth_l1_loss(pred, target, reduction="none", beta=beta).sum(-1)


def _require_offsets(pred: Tensor, target: Tensor) -> None:
    require_rows(pred=pred, target=target)
    if pred.shape[1] != 4:
        raise ValueError(f"pred has shape {tuple(pred.shape)}, allowed: (N, 4), four offsets a box")


def _check_offsets(inputs: Inputs, params: Params) -> None:
    _require_offsets(inputs["pred"], inputs["target"])
    check_finite(pred=inputs["pred"], target=inputs["target"])


def _offsets_grad(*, pred: Tensor, target: Tensor, beta: float) -> dict[str, Tensor]:
    return {"pred": ((pred - target) / beta).clamp(-1, 1)}


def _error(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (pred - target).abs()


def _each_line(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    error = _error(pred=pred, target=target)
    return torch.where(error < beta, error**2 / (2 * beta), error - beta / 2)


def _offsets_line(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    x, y, w, h = _each_line(pred=pred, target=target, beta=beta).unbind(-1)
    return x + y + w + h


def _error_slope(*, pred: Tensor, target: Tensor, **_: object) -> Tensor:
    return (pred - target).sign()


def _each_slope(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    error = _error(pred=pred, target=target)
    return torch.where(error < beta, error / beta, torch.ones_like(error))


def _offset_slope(*, pred: Tensor, target: Tensor, beta: float) -> Tensor:
    return _each_slope(pred=pred, target=target, beta=beta) * _error_slope(pred=pred, target=target)


_ALL_OFFSETS = "all real offsets"

BOX_SMOOTH_L1 = Loss(
    key="box_smooth_l1",
    name="Smooth L1 of box offsets",
    name_zh="边框平滑 L1 损失",
    family="detection",
    tasks=("detection",),
    input_kind="box_deltas",
    inputs={"pred": "box offsets, (N, 4)", "target": "box offsets, (N, 4)"},
    differentiable=("pred",),
    fn=box_smooth_l1,
    denominator=number_of_values,
    check=_check_offsets,
    grad=_offsets_grad,
    formula=(
        Line(r"e_j = \lvert p_j - t_j \rvert", _error),
        Line(
            r"s_j = \begin{cases} \frac{e_j^2}{2\beta} & e_j < \beta \\ e_j - \frac{\beta}{2} & e_j \ge \beta "
            r"\end{cases}",
            _each_line,
        ),
        Line(r"\ell = s_1 + s_2 + s_3 + s_4", _offsets_line),
    ),
    gradient=r"\frac{\partial \ell}{\partial p_j} = "
    r"\min\left(1, \max\left(-1, \frac{p_j - t_j}{\beta}\right)\right)",
    derivation=(
        Line(r"\frac{\partial e_j}{\partial p_j} = \operatorname{sign}(p_j - t_j)", _error_slope),
        Line(
            r"\frac{d s_j}{d e_j} = \begin{cases} \frac{e_j}{\beta} & e_j < \beta \\ 1 & e_j \ge \beta \end{cases}",
            _each_slope,
        ),
        Line(
            r"\frac{\partial \ell}{\partial p_j} = \frac{d s_j}{d e_j} \cdot \frac{\partial e_j}{\partial p_j} = "
            r"\min\left(1, \max\left(-1, \frac{p_j - t_j}{\beta}\right)\right)",
            _offset_slope,
        ),
    ),
    params={"beta": Number("Error at which the squared part ends.", 1.0, 1e-3, 100.0, "log")},
    properties=Properties(
        convex_in_pred=yes(_ALL_OFFSETS),
        bounded=no(_ALL_OFFSETS, {"pred": [[1e6, 0.0, 0.0, 0.0]], "target": [[0.0, 0.0, 0.0, 0.0]]}),
        lipschitz=yes(_ALL_OFFSETS, constant=lambda _: 2.0),
        smooth=yes(_ALL_OFFSETS, constant=lambda p: 1 / p["beta"]),
        robust=yes(_ALL_OFFSETS, constant=lambda _: 2.0),
        symmetric=yes(_ALL_OFFSETS),
        scale_invariant=no(
            "prediction and label together", {"pred": [[1.0, 0.0, 0.0, 0.0]], "target": [[0.0, 0.0, 0.0, 0.0]]}
        ),
    ),
    pitfalls=(
        "The four offsets are added and the boxes averaged: a mean over all numbers is a quarter of it.",
        "Detectors divide by the number of positive boxes, or of all anchors, and not by the boxes given here.",
        "beta moves both the threshold and the slope inside; Huber's delta moves the slope outside instead.",
        "A small error in offsets is a large one in overlap for a small box: the loss cannot see it.",
    ),
    reference="Girshick (2015), Fast R-CNN, arXiv:1504.08083.",
    code=Code(
        pytorch="import torch.nn.functional as F\n\n"
        'loss = F.smooth_l1_loss(pred, target, reduction="none", beta={beta}).sum(-1).mean()\n',
        keras="import keras\n\nloss = keras.ops.mean(4 / {beta} * keras.losses.huber(target, pred, delta={beta}))\n",
        optax="import optax\n\nloss = (optax.losses.huber_loss(pred, target, delta={beta}) / {beta}).sum(-1).mean()\n",
        note="Keras averages over the four offsets, so its value is multiplied by 4; Huber is beta times this loss.",
    ),
)


LOSSES: tuple[Loss, ...] = (IOU, GIOU, DIOU, CIOU, BOX_SMOOTH_L1)
