"""The explorer's component: what a scene's module needs to draw, and what it reports back."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import streamlit as st
from latex2mathml.converter import convert

from lossviz.figures import DASHES, explore
from lossviz.losses import CATALOGUE
from lossviz.losses.entry import Choice, Flag, Groups, Loss, Number, Vector
from lossviz.scenes import SCENES, Handle, Scene
from lossviz.scenes.slices import slice_of
from lossviz.scenes.state import State, parse, plain, to_query
from lossviz.ui.components import mount, reported
from lossviz.ui.words import tr

KEY = "stage"
_VECTOR_SLIDER_TOP = 2.0


def stage(
    state: State,
    *,
    hero: bool = False,
    key: str = KEY,
    more: Mapping[str, Any] | None = None,
    keep: Callable[[], None] | None = None,
) -> None:
    """Mount the explorer in ``state``; as ``hero`` only its main picture, moving by itself until it is touched.

    ``more`` is put over the component's data. ``keep`` is called when the component reports another state; the
    explorer's own page writes it into the address.
    """
    revision = st.session_state.get(f"{key}.revision", 0)
    session = st.session_state.setdefault(f"{key}.session", secrets.token_urlsafe(6))
    own = {"hero": hero, "key": key, "revision": revision, "session": session}
    mount("explore", key, {**_data(state), **own, **(more or {})}, {"state": keep or (lambda: _keep(key))})


def write_query(state: State) -> None:
    """Put ``state`` into the address, beside what other parts of the page keep there; one step for the Back button."""
    ours = {"scene", "loss", "focus", "tab", *(handle.name for scene in SCENES for handle in scene.handles)}
    kept = {name: value for name, value in st.query_params.items() if name not in ours and "." not in name}
    st.query_params.from_dict({**to_query(state), **kept})


def _keep(key: str) -> None:
    query = reported_query(key, SCENES)
    if query is not None:
        query |= {name: st.query_params[name] for name in ("scene", "loss") if name in st.query_params}
        write_query(parse(query, CATALOGUE)[0])


def reported_query(key: str, scenes: Sequence[Scene]) -> dict[str, str] | None:
    """What the component reported, as query parameters: untrusted, so that it passes the same gate as an address."""
    report = reported(key, "state")
    if not isinstance(report, Mapping):
        return None
    fields = cast("Mapping[str, Any]", report)
    revision = fields.get("revision")
    if isinstance(revision, int):
        st.session_state[f"{key}.revision"] = revision
    query = {name: str(fields.get(name, ""))[:40] for name in ("focus", "tab")}
    handles = {handle.name for scene in scenes for handle in scene.handles}
    for name, value in _items(fields.get("handles")):
        if name in handles:
            query[name] = json.dumps(value)
    for loss, params in _items(fields.get("params")):
        for name, value in _items(params):
            query[f"{loss}.{name}"] = json.dumps(value)
    return query


def _items(value: object) -> list[tuple[str, Any]]:
    return list(cast("Mapping[str, Any]", value).items())[:64] if isinstance(value, Mapping) else []


def _data(state: State) -> dict[str, Any]:
    scene = state.scene
    names = [tr(loss.name) for loss in state.losses]
    own = {"regression": _regression, "classes": _classes, "slice": _slice}[scene.key](state, names)
    own["text"] = {**_text(), **own["text"]}
    return {
        "scene": scene.key,
        "losses": [_loss(loss) for loss in state.losses],
        "dashes": DASHES,
        "handleSpecs": [_handle(handle) for handle in scene.handles],
        "handles": state.handles,
        "params": {key: plain(params) for key, params in state.params.items()},
        "focus": state.focus,
        "tab": state.tab,
        "defaults": {
            "handles": scene.parse_handles({}),
            "params": {loss.key: plain(loss.resolve({})) for loss in state.losses},
        },
        **own,
    }


def _regression(state: State, names: list[str]) -> dict[str, Any]:
    low, high = state.scene.handles[0].low, state.scene.handles[0].high
    words = tr("Prediction"), tr("Label"), tr("Loss"), tr("Derivative")
    return {
        "low": low,
        "high": high,
        "figures": explore.regression(names, low, high, words),
        "numbers": [("loss", tr("Loss")), ("gradient", tr("Gradient"))],
        "text": {
            "curve": tr("Loss over the prediction, with its tangent; arrows show a gradient step of 0.25"),
            "derivative": tr("Derivative over the prediction"),
            "point": tr("Prediction and label"),
            "position": tr("Prediction {pred}, label {target}."),
            "sentence": tr("{name}: loss {loss}, gradient {gradient}."),
            "prediction": tr("Prediction"),
            "slope": tr("derivative"),
            "map": tr("Map: {name}"),
        },
    }


def _slice(state: State, names: list[str]) -> dict[str, Any]:
    loss = state.losses[0]
    line = slice_of(loss)
    transform = loss.returns == "gradients"
    charge = tr("Length of the combined gradient") if transform else tr("Loss")
    figures = explore.slice_of_loss(names[0], line.low, line.high, (tr(line.label), charge, tr("Slope")))
    return {
        "low": line.low,
        "high": line.high,
        "figures": {name: figure for name, figure in figures.items() if name == "curve" or not transform},
        "numbers": [("x", tr("At")), ("loss", charge), *([] if transform else [("gradient", tr("Slope"))])],
        "text": {
            "curve": tr("{what} over: {axis}", what=charge, axis=tr(line.label)),
            "derivative": _slope_title(loss),
            "axis": tr(line.label),
            "inputs": tr("The inputs now, and the gradient by each"),
            "gradient": tr("gradient"),
            "network": tr("a network"),
            "position": tr("{axis}: {x}."),
            "sentence": tr("{name}: loss {loss}, slope {gradient}."),
            "slope": tr("slope"),
        },
    }


def _slope_title(loss: Loss) -> str:
    if loss.input_kind in ("regression", "nonnegative", "positive"):
        return tr("Influence function: how hard a sample pulls, by its prediction")
    return tr("Slope along the same line")


def _classes(state: State, names: list[str]) -> dict[str, Any]:
    gradients = [(f"gradient.{k}", tr("by logit {k}", k=k)) for k in (1, 2, 3)]
    return {
        "figures": explore.classes(names, (tr("class"), tr("Gradient by logit"), tr("Loss"))),
        "numbers": [("loss", tr("Loss")), *gradients],
        "text": {
            "logits": tr("Logits, and the probabilities that softmax makes of them"),
            "bars": tr("Gradient by logit (cross-entropy: p − y)"),
            "point": tr("Probabilities on the simplex"),
            "pointX": tr("Across: towards class 2"),
            "pointY": tr("Up: towards class 3"),
            "position": tr("Probabilities {probs}; the label is class {label}."),
            "sentence": tr("{name}: loss {loss}, gradient by logit {gradient}."),
            "aClass": tr("class {k}"),
            "aClassHead": tr("Class"),
            "logit": tr("Logit"),
            "probability": tr("Probability"),
            "slope": tr("gradient"),
            "map": tr("{name} over the probabilities; arrows: where a gradient step on the logits leads"),
        },
    }


def _text() -> dict[str, Any]:
    return {
        "offline": tr("Connection lost. The picture is as of {time}; trying again."),
        "contour": tr("Contour"),
        "surface": tr("3-D"),
        "table": tr("Numbers as a table"),
        "reset": tr("Reset"),
        "fit": tr("Fit axes"),
        "copy": tr("Copy link"),
        "copied": tr("The link is copied; it shows exactly this."),
        "focus": tr("Show the map, parameters and formula of this loss"),
        "formula": tr("Formula, with its numbers now"),
        "know": tr("Good to know"),
        "exact": tr("{name}, exact value"),
        "use": tr("Use {name}"),
        "range": tr("{name} is {value}; allowed: {low} to {high}."),
        "proof": tr("The gradient, three ways"),
        "hand": tr("by hand"),
        "autograd": tr("autograd"),
        "difference": tr("finite difference"),
        "verdicts": {
            "agree": tr("All agree."),
            "kink": tr("A kink: the slope is {left} before it and {right} after it; any number between is right."),
            "detached": tr("The difference is another: the gradient takes {detached} as constant, by definition."),
            "differ": tr("They do not agree here: please report it."),
        },
        "noHand": tr("no closed form"),
    }


def _handle(handle: Handle) -> dict[str, Any]:
    return {
        "name": handle.name,
        "label": tr(handle.label),
        "low": handle.low,
        "high": handle.high,
        "step": handle.step,
        "default": handle.default,
        "whole": handle.whole,
    }


def _loss(loss: Loss) -> dict[str, Any]:
    return {
        "key": loss.key,
        "name": tr(loss.name),
        "params": {name: _param(param) for name, param in loss.params.items() if not isinstance(param, Groups)},
        "formula": [mathml(line.latex) for line in loss.formula],
        "gradient": mathml(loss.gradient),
        "pitfalls": [tr(pitfall) for pitfall in loss.pitfalls],
        "reference": tr(loss.reference),
        "detached": tr(loss.detached),
        "returns": loss.returns,
    }


def _param(param: Number | Vector | Choice | Flag) -> dict[str, Any]:
    common = {"meaning": tr(param.meaning), "default": param.default}
    if isinstance(param, Choice):
        return {**common, "options": param.options}
    if isinstance(param, Flag):
        return {**common, "flag": True}
    if isinstance(param, Number):
        span = {"low": param.low, "high": param.high, "scale": param.scale}
        return {**common, **span, "integer": param.integer, "nullable": param.nullable}
    span = {"low": param.low, "high": min(param.high, _VECTOR_SLIDER_TOP), "scale": "linear"}
    return {**common, **span, "integer": False, "nullable": param.nullable}


@lru_cache(512)
def mathml(latex: str) -> str:
    """LaTeX of the catalogue as MathML."""
    return convert(latex)
