"""A straight line through 2 to 24 points: each loss's own best line, and the way to it over slope and intercept.

Numbers by loss: ``loss`` of the line held, ``gradient.slope`` and ``gradient.intercept``; of the best line
``fit.slope``, ``fit.intercept`` and ``fit.loss``. A fit that did not converge, or whose slope is free, has a note.
Arrays by view (L losses in the order asked, N points, all float64 until they are sent):
``fits``: slope and intercept of each best line, ``(L, 2)``, NaN where the labels are outside the loss's domain.
``pulls``: how hard each point pulls the line up, minus the gradient by the prediction there, ``(L, N)``.
``surface:<key>``: loss over (slope, intercept), ``(S, S)``, intercept along the first axis, NaN outside the domain.
``path:<key>``: slope and intercept of the line held and after each further step of gradient descent, ``(M, 2)``, NaN
once it has left the domain or all bounds; ``arrow:<key>``: the first of these steps, ``(2, 2)``, whatever their number.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from lossviz.losses import get, value_and_grad
from lossviz.losses.entry import Loss, Number
from lossviz.losses.proof import Proof, prove
from lossviz.scenes.fitting import TOLERANCE, Fit, batch_loss, batch_slopes, fit
from lossviz.scenes.scene import ARROWS, RATE, Frame, Handle, Params, Scene, Series, Values, line_values, stepped

X_REACH = 2.5
Y_LOW, Y_HIGH = -2.0, 8.0
OUTLIERS = (0.2, 7.8)
"""Heights near the ends at which every loss is defined."""
FEWEST, MOST = 2, 24
"""A line needs two points; of more than these none could be taken hold of."""
SLOPE = Handle("slope", "Slope", -3.0, 3.0, 0.1, -0.6)
INTERCEPT = Handle("intercept", "Intercept", Y_LOW, Y_HIGH, 0.1, 4.6)
XS = Series("xs", "Points, x", -X_REACH, X_REACH, 0.1, (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.6, 2.0), FEWEST, MOST)
YS = Series("ys", "Points, y", Y_LOW, Y_HIGH, 0.1, (1.2, 1.3, 2.2, 2.3, 3.2, 3.3, 4.2, 0.4, 4.9), FEWEST, MOST)
SIDE = 61
SLOPES = SLOPE.low + (SLOPE.high - SLOPE.low) * torch.arange(SIDE, dtype=torch.float64) / (SIDE - 1)
INTERCEPTS = Y_LOW + (Y_HIGH - Y_LOW) * torch.arange(SIDE, dtype=torch.float64) / (SIDE - 1)
FAR = 1e3
"""A path this far out has left every picture."""


def inputs(handles: Values, loss: Loss) -> dict[str, Tensor]:
    """Return ``pred``, the line's height at each point, and ``target``, both ``(N,)`` float64."""
    xs, ys = _points(handles)
    return {"pred": handles["slope"] * xs + handles["intercept"], "target": ys}


def _points(handles: Values) -> tuple[Tensor, Tensor]:
    return torch.tensor(handles["xs"], dtype=torch.float64), torch.tensor(handles["ys"], dtype=torch.float64)


def views(losses: Sequence[Loss], handles: Values, params: Params, wanted: Sequence[str]) -> Frame:
    """Evaluate ``losses`` at the handles; see the module for numbers and arrays."""
    frame = Frame()
    xs, _ = _points(handles)
    fits: list[Tensor] = []
    pulls: list[Tensor] = []
    for loss in losses:
        chosen = loss.resolve(params.get(loss.key, {}))
        best = _fit(loss.key, json.dumps(chosen), tuple(handles["xs"]), tuple(handles["ys"]))
        fits.append(torch.tensor([best.slope, best.intercept] if best else [torch.nan] * 2, dtype=torch.float64))
        named = inputs(handles, loss)
        try:
            value, grads = value_and_grad(loss, named, chosen)
        except ValueError as error:
            frame.notes[loss.key] = str(error)
            pulls.append(torch.full_like(xs, torch.nan))
        else:
            pulls.append(-grads["pred"])
            slope, intercept = ((grads["pred"] * column).sum().item() for column in (xs, torch.ones_like(xs)))
            frame.numbers[loss.key] = {"loss": value.item(), "gradient.slope": slope, "gradient.intercept": intercept}
            if f"proof:{loss.key}" in wanted:
                frame.proofs[loss.key] = _proof(loss, handles, chosen)
            if f"formula:{loss.key}" in wanted:
                frame.lines[loss.key] = line_values(loss.formula, named, chosen)
            if best:
                own = {"fit.slope": best.slope, "fit.intercept": best.intercept, "fit.loss": best.loss}
                frame.numbers[loss.key] |= own
                _remark(frame, loss, best)
        _maps(frame, loss, handles, chosen, wanted)
    if "fits" in wanted:
        frame.arrays["fits"] = torch.stack(fits)
    if "pulls" in wanted:
        frame.arrays["pulls"] = torch.stack(pulls)
    return frame


def _maps(frame: Frame, loss: Loss, handles: Values, params: Mapping[str, Any], wanted: Sequence[str]) -> None:
    if f"surface:{loss.key}" in wanted:
        frame.arrays[f"surface:{loss.key}"] = _surface(loss, *_points(handles), params)
    if f"path:{loss.key}" in wanted:
        path = _path(loss, handles, params, max(1, handles["path"]))
        frame.arrays[f"path:{loss.key}"] = path[: handles["path"] + 1]
        frame.arrays[f"arrow:{loss.key}"] = path[:2]


def _remark(frame: Frame, loss: Loss, best: Fit) -> None:
    if not best.sloped:
        frame.notes[loss.key] = "All points have the same x: any slope fits as well as the one shown."
    elif not best.converged:
        frame.notes[loss.key] = f"The best line is not exact: the search did not settle to {TOLERANCE:g}."


@lru_cache(1024)
def _fit(key: str, params: str, xs: tuple[float, ...], ys: tuple[float, ...]) -> Fit | None:
    """The best line, found once while the points stay; ``None`` where the labels are outside the loss's domain."""
    chosen = json.loads(params)
    try:
        return fit(get(key), torch.tensor(xs, dtype=torch.float64), torch.tensor(ys, dtype=torch.float64), chosen)
    except ValueError:
        return None


def step(loss: Loss, handles: Values, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return slope and intercept after one step against the gradient."""
    _, grads = value_and_grad(loss, inputs(handles, loss), params)
    xs, _ = _points(handles)
    slopes = {"slope": (grads["pred"] * xs).sum().item(), "intercept": grads["pred"].sum().item()}
    return {h.name: stepped(h, handles[h.name], slopes[h.name], handles["rate"]) for h in (SLOPE, INTERCEPT)}


def _proof(loss: Loss, handles: Values, params: Mapping[str, Any]) -> Proof:
    """The gradient by the slope."""
    xs, _ = _points(handles)
    return prove(loss, lambda s: inputs({**handles, "slope": s}, loss), handles["slope"], params, {"pred": xs})


def _surface(loss: Loss, xs: Tensor, ys: Tensor, params: Mapping[str, Any]) -> Tensor:
    if not _defined(loss, ys):
        return torch.full((SIDE, SIDE), torch.nan, dtype=torch.float64)
    lines = torch.cartesian_prod(INTERCEPTS, SLOPES)
    return batch_loss(loss, lines[:, 1:] * xs + lines[:, :1], ys, params).reshape(SIDE, SIDE)


def _path(loss: Loss, handles: Values, params: Mapping[str, Any], count: int) -> Tensor:
    xs, ys = _points(handles)
    columns = torch.stack([xs, torch.ones_like(xs)], -1)
    path = torch.full((count + 1, 2), torch.nan, dtype=torch.float64)
    at = torch.tensor([handles["slope"], handles["intercept"]], dtype=torch.float64)
    for k in range(count + 1):
        pred = columns @ at
        if not _defined(loss, ys) or not _defined(loss, pred) or not at.abs().max() < FAR:
            break
        path[k] = at
        if k < count:
            at = at - handles["rate"] * batch_slopes(loss, pred[None], ys, params)[0] @ columns
    return path


def _defined(loss: Loss, values: Tensor) -> bool:
    return not loss.input_kind.startswith("nonnegative") or bool((values >= 0).all())


LINE = Scene(
    key="line",
    name="Regression line",
    task="Drag the outlier, or add another: which losses' best lines follow it, and which stay?",
    handles=(SLOPE, INTERCEPT, XS, YS),
    input_kinds=("regression", "nonnegative", "regression_batch", "nonnegative_batch"),
    view_names=("fits", "pulls", "surface", "path", "formula", "proof"),
    inputs=inputs,
    views=views,
    opening=("mse", "mae", "welsch"),
    options={
        "rate": RATE,
        "path": Number("How many steps of gradient descent the map shows.", 40, 0, 300, integer=True),
        "arrows": ARROWS,
    },
    step=step,
    paired=((XS.name, YS.name),),
)
