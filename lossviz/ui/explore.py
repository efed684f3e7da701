"""The explorer's component: what a scene's module needs to draw, and what it reports back."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

import streamlit as st
from latex2mathml.converter import convert

from lossviz.figures import DASHES
from lossviz.figures.style import enlarged
from lossviz.losses import CATALOGUE
from lossviz.losses.entry import Choice, Flag, Groups, Loss, Number, Param
from lossviz.scenes import SCENES, Handle, Scene, Series, Text
from lossviz.scenes.state import State, parse, plain, to_query
from lossviz.ui.components import mount, reported
from lossviz.ui.scenes import DATA
from lossviz.ui.words import tr

KEY = "stage"
PROJECTED = 1.7
"""How much larger type and lines are on a projector."""
_VECTOR_SLIDER_TOP = 2.0
_LEAVING = "leaving"


def stage(
    state: State,
    *,
    hero: bool = False,
    key: str = KEY,
    more: Mapping[str, Any] | None = None,
    keep: Callable[[], None] | None = None,
    present: bool = False,
) -> None:
    """Mount the explorer in ``state``; as ``hero`` only its main picture, moving by itself until it is touched.

    ``present`` is for the last row of a lecture hall: larger type, thicker lines, nothing else on screen.
    ``more`` is put over the component's data. ``keep`` is called when the component reports another state; the
    explorer's own page writes it into the address.
    """
    revision = st.session_state.get(f"{key}.revision", 0)
    session = st.session_state.setdefault(f"{key}.session", secrets.token_urlsafe(6))
    own = {"hero": hero, "key": key, "revision": revision, "session": session, "present": present, "address": not keep}
    data = {**_data(state), **own, **(more or {})}
    if present:
        data["figures"] = enlarged(data["figures"], PROJECTED)
    on = {"state": keep or (lambda: _keep(key)), "present": _present, "train": lambda: _leave(key)}
    mount("explore", key, data, on)


def leaving() -> bool:
    """Whether the scene's own loss is to be trained with now; a scene may have a button that says so."""
    return st.session_state.pop(_LEAVING, False)


def _leave(key: str) -> None:
    """What the button was pressed at goes into the address first, so that Back finds it."""
    _keep(key)
    st.session_state[_LEAVING] = True


def _present() -> None:
    """Into the lecture hall and back."""
    if "present" in st.query_params:
        del st.query_params["present"]
    else:
        st.query_params["present"] = "1"


def write_query(state: State) -> None:
    """Put ``state`` into the address, beside what other parts of the page keep there; one step for the Back button."""
    ours = {"scene", "loss", "focus", "tab", *(name for scene in SCENES for name in scene.names)}
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
    known = {name for scene in scenes for name in scene.names}
    for name, value in _items(fields.get("handles")):
        if name in known:
            query[name] = value if isinstance(value, str) else json.dumps(value)
    for loss, params in _items(fields.get("params")):
        for name, value in _items(params):
            query[f"{loss}.{name}"] = json.dumps(value)
    return query


def _items(value: object) -> list[tuple[str, Any]]:
    return list(cast("Mapping[str, Any]", value).items())[:64] if isinstance(value, Mapping) else []


def _data(state: State) -> dict[str, Any]:
    scene = state.scene
    own = DATA[scene.key](state)
    own["text"] = {**_text(), **own["text"]}
    return {
        "scene": scene.key,
        "losses": [
            *({**_loss(loss), "params": {}, "own": True} for loss in scene.made(state.handles)),
            *(_loss(scene.drawn(state.handles, loss)) for loss in state.losses),
        ],
        "dashes": DASHES,
        "handleSpecs": [_handle(handle) for handle in scene.handles],
        "handles": state.handles,
        "options": {name: _param(option) for name, option in scene.options.items()},
        "steps": scene.step is not None,
        "params": {key: plain(params) for key, params in state.params.items()},
        "focus": state.focus,
        "tab": state.tab,
        "defaults": {
            "handles": scene.parse_handles({}),
            "params": {loss.key: plain(scene.resolve(loss)) for loss in state.losses},
        },
        **own,
    }


def _text() -> dict[str, Any]:
    return {
        "offline": tr("Connection lost. The picture is as of {time}; trying again."),
        "contour": tr("Contour"),
        "surface": tr("3-D"),
        "table": tr("Numbers as a table"),
        "reset": tr("Reset"),
        "take": tr("Take it with you"),
        "present": tr("Present"),
        "leave": tr("Leave the presentation"),
        "options": tr("What to show"),
        "step": tr("Step"),
        "stepHelp": tr("One step of gradient descent on the loss in focus"),
        "play": tr("Play"),
        "pause": tr("Pause"),
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


def _handle(handle: Handle | Series | Text) -> dict[str, Any]:
    if isinstance(handle, Text):
        return {"name": handle.name, "label": tr(handle.label), "default": handle.default, "most": handle.most}
    common = {"name": handle.name, "label": tr(handle.label), "low": handle.low, "high": handle.high}
    if isinstance(handle, Series):
        most = handle.most or len(handle.default)
        return {**common, "step": handle.step, "default": list(handle.default), "fewest": handle.fewest, "most": most}
    return {**common, "step": handle.step, "default": handle.default, "whole": handle.whole}


def _loss(loss: Loss) -> dict[str, Any]:
    return {
        "key": loss.key,
        "name": tr(loss.name),
        "params": {name: _param(param) for name, param in loss.params.items() if not isinstance(param, Groups)},
        "formula": [mathml(line.latex) for line in loss.formula],
        "gradient": mathml(loss.gradient) if loss.gradient else "",
        "pitfalls": [tr(pitfall) for pitfall in loss.pitfalls],
        "reference": tr(loss.reference),
        "detached": tr(loss.detached),
        "returns": loss.returns,
    }


def _param(param: Param) -> dict[str, Any]:
    common = {"meaning": tr(param.meaning), "default": param.default}
    if isinstance(param, Choice):
        return {**common, "options": param.options}
    if isinstance(param, Flag):
        return {**common, "flag": True}
    if isinstance(param, Groups):
        raise TypeError("lists of indices have no control")
    if isinstance(param, Number):
        span = {"low": param.low, "high": param.high, "scale": param.scale}
        return {**common, **span, "integer": param.integer, "nullable": param.nullable}
    span = {"low": param.low, "high": min(param.high, _VECTOR_SLIDER_TOP), "scale": "linear"}
    return {**common, **span, "integer": False, "nullable": param.nullable}


@lru_cache(512)
def mathml(latex: str) -> str:
    """LaTeX of the catalogue as MathML."""
    return convert(latex)
