"""The explorer's whole state as query parameters and back, so that an address shows what its sender saw."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, cast

from lossviz.losses.entry import Loss
from lossviz.scenes import SCENES, Scene, Text, get_scene

TABS = ("contour", "surface")


@dataclass(frozen=True, slots=True)
class State:
    """What the explorer shows: a scene, its losses in order, their hyperparameters, the handles and the options.

    ``focus`` is the key of the loss whose map and formula are shown (empty where there is none), ``tab`` how: as a
    contour or a surface.
    """

    scene: Scene
    losses: tuple[Loss, ...]
    params: dict[str, dict[str, Any]]
    handles: dict[str, Any]
    focus: str
    tab: str


def parse(
    query: Mapping[str, str], catalogue: Sequence[Loss], scenes: Sequence[Scene] = SCENES
) -> tuple[State, list[str]]:
    """Read untrusted query parameters; what can't be used is left at its default, with a sentence each saying so."""
    problems: list[str] = []
    scene = scenes[0]
    if query.get("scene"):
        try:
            scene = get_scene(query["scene"], scenes)
        except ValueError as error:
            problems.append(str(error))
    losses = _losses(scene, query.get("loss"), catalogue, problems)
    params = {loss.key: _params(scene, loss, query, problems) for loss in losses}
    handles = scene.parse_handles({})
    typed = {handle.name for handle in scene.handles if isinstance(handle, Text)}
    for names in scene.together:
        given = {name: query[name] if name in typed else _value(query[name]) for name in names if name in query}
        try:
            handles = scene.parse_handles({**handles, **given}) if given else handles
        except ValueError as error:
            problems.append(str(error))
    keys = scene.keys(losses)
    focus = query.get("focus", "")
    if focus not in keys:
        focus = keys[0] if keys else ""
    tab = query.get("tab", TABS[0])
    return State(scene, losses, params, handles, focus, tab if tab in TABS else TABS[0]), problems


def to_query(state: State) -> dict[str, str]:
    """Return the query parameters that `parse` turns into ``state``; what has its default is left out."""
    query = {"scene": state.scene.key, "loss": ",".join(loss.key for loss in state.losses)}
    for loss in state.losses:
        start = plain(state.scene.resolve(loss))
        for name, value in plain(state.params[loss.key]).items():
            if value != start[name]:
                query[f"{loss.key}.{name}"] = json.dumps(value)
    for name, default in state.scene.parse_handles({}).items():
        if state.handles[name] != default:
            query[name] = _text(state.handles[name])
    if state.focus and state.focus != state.scene.keys(state.losses)[0]:
        query["focus"] = state.focus
    if state.tab != TABS[0]:
        query["tab"] = state.tab
    return query


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters as JSON values: JSON has no infinities, which some parameters may be."""
    infinite = {math.inf: "inf", -math.inf: "-inf"}
    return {name: infinite.get(value, value) if isinstance(value, float) else value for name, value in params.items()}


def _losses(scene: Scene, text: str | None, catalogue: Sequence[Loss], problems: list[str]) -> tuple[Loss, ...]:
    offered = {loss.key: loss for loss in scene.losses(catalogue)}
    asked = list(scene.opening) if text is None else [key.strip() for key in text[:400].split(",") if key.strip()]
    found: dict[str, Loss] = {}
    for key in asked:
        if key in offered:
            found[key] = offered[key]
            continue
        near = get_close_matches(key, offered, 1, 0.5)
        hint = f" Did you mean {near[0]}?" if near else ""
        problems.append(f"This scene has no loss {key[:40]!r}; it offers {', '.join(offered)}.{hint}")
    if len(found) > scene.most:
        problems.append(f"{len(found)} losses asked for; the first {scene.most} are shown.")
    return tuple(list(found.values())[: scene.most])


def _params(scene: Scene, loss: Loss, query: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    params = scene.resolve(loss)
    for name in loss.params:
        key = f"{loss.key}.{name}"
        if key in query:
            try:
                params = loss.resolve({**params, name: _value(query[key])})
            except ValueError as error:
                problems.append(str(error))
    return params


MOST_TEXT = 2000
"""Long enough for all the cells of a grid, short enough for an address."""


def _text(value: object) -> str:
    """A handle's or option's value as `_value` reads it: numbers with twelve digits, several with commas between."""
    if isinstance(value, list):
        entries = ",".join(map(_text, cast("list[object]", value)))
        return entries if "," in entries else f"[{entries}]"
    if isinstance(value, str):
        return value
    return f"{value:.12g}" if isinstance(value, float) else json.dumps(value)


def _value(text: str) -> object:
    text = text[:MOST_TEXT]
    try:
        return json.loads(f"[{text}]") if "," in text and text[0] not in '["{' else json.loads(text)
    except (ValueError, RecursionError):
        return text
