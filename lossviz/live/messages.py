"""What travels on the scene socket: validated requests in, binary frames out."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite
from typing import Any, TypeVar, cast

import torch

from lossviz.language import FormulaError
from lossviz.losses import CATALOGUE
from lossviz.losses.entry import Loss
from lossviz.losses.proof import Proof
from lossviz.scenes import EVERY_SCENE, Frame, Scene, get_scene
from lossviz.scenes.state import plain

T = TypeVar("T")

MAX_BYTES = 16_384
MAX_SEQ = 2**53
"""Numbers up to here are exact in JavaScript."""


class MessageError(ValueError):
    """A message that can't be served; its text goes back to the sender, with ``seq`` where one could be read.

    Where a typed line is at fault, ``position`` says at which of its characters, counted from 0.
    """

    def __init__(self, text: str, seq: int | None = None, position: int | None = None):
        super().__init__(text)
        self.seq, self.position = seq, position


@dataclass(frozen=True, slots=True)
class Request:
    """One position of a scene's handles to be evaluated."""

    seq: int
    scene: Scene
    losses: tuple[Loss, ...]
    params: dict[str, dict[str, Any]]
    handles: dict[str, Any]
    views: tuple[str, ...]


def parse_json(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object in ``text``; raise `MessageError` if it is too long, none, or holds NaN or Infinity."""
    size = len(text) if isinstance(text, bytes) else len(text.encode(errors="replace"))
    if size > MAX_BYTES:
        raise MessageError(f"The message has {size} bytes; allowed: at most {MAX_BYTES}.")

    def refuse(name: str) -> None:
        raise MessageError(f"The message holds {name}; allowed: finite numbers.")

    try:
        message = json.loads(text, parse_constant=refuse)
    except MessageError:
        raise
    except (ValueError, RecursionError) as error:
        raise MessageError("The message is no JSON.") from error
    if not isinstance(message, dict):
        raise MessageError("The message is no JSON object.")
    return cast("dict[str, Any]", message)


def parse_request(text: str | bytes) -> Request:
    """Return the validated request in ``text``, or raise `MessageError` naming the value and what is allowed."""
    message = parse_json(text)
    seq = message.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool) or not 0 <= seq <= MAX_SEQ:
        raise MessageError(f"seq is {_short(seq)}; allowed: a whole number from 0 to {MAX_SEQ}.")
    try:
        scene = get_scene(_typed(message, "scene", str), EVERY_SCENE)
        losses = _losses(scene, _typed(message, "losses", list))
        handles = scene.parse_handles(_typed(message, "handles", dict))
        params = _params(losses, _typed(message, "params", dict))
        views = _views(scene, losses, _typed(message, "views", list))
    except ValueError as error:
        position = error.position if isinstance(error, FormulaError) else None
        raise MessageError(str(error), seq, position) from error
    return Request(seq, scene, losses, params, handles, views)


def encode(request: Request, frame: Frame) -> bytes:
    """Return a frame as bytes: uint32 header length, JSON header, spaces up to 8 bytes, little-endian float32 arrays.

    The header holds ``seq``, ``handles`` and ``params`` as they were asked, ``moved``, ``told``, ``numbers``,
    ``lines``, ``steps``, ``witnesses`` (as ``[kind, numbers]``) and ``proofs`` (exact float64), ``notes``, and
    ``arrays`` as ``[name, shape]`` in the order of their values. What is not finite is null.
    """
    arrays = {name: array.to(torch.float32).contiguous() for name, array in frame.arrays.items()}
    header = {
        "seq": request.seq,
        "handles": request.handles,
        "moved": frame.moved,
        "told": frame.told,
        "params": {key: plain(params) for key, params in request.params.items()},
        "numbers": {key: _finite(numbers) for key, numbers in frame.numbers.items()},
        "lines": {key: _finite_lines(lines) for key, lines in frame.lines.items()},
        "steps": {key: _finite_lines(lines) for key, lines in frame.steps.items()},
        "witnesses": {
            key: {name: [shown.kind, _finite(shown.numbers)] for name, shown in found.items()}
            for key, found in frame.witnesses.items()
        },
        "proofs": {key: _proof(proof) for key, proof in frame.proofs.items()},
        "notes": frame.notes,
        "arrays": [[name, list(array.shape)] for name, array in arrays.items()],
    }
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (-(len(text) + 4) % 8)
    return b"".join(
        [struct.pack("<I", len(text)), text, *(a.numpy().astype("<f4", copy=False).tobytes() for a in arrays.values())]
    )


def evaluate(request: Request) -> bytes:
    """Return the encoded answer to ``request``."""
    frame = request.scene.views(request.losses, request.handles, request.params, request.views)
    for loss in (*request.scene.made(request.handles), *request.losses):
        if request.scene.step and f"step:{loss.key}" in request.views and loss.key in frame.numbers:
            frame.moved.update(request.scene.step(loss, request.handles, request.params.get(loss.key, {})))
    return encode(request, frame)


def _finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    return {name: value if isfinite(value) else None for name, value in numbers.items()}


def _finite_lines(lines: list[list[float]]) -> list[list[float | None]]:
    return [[value if isfinite(value) else None for value in line] for line in lines]


def _proof(proof: Proof) -> dict[str, Any]:
    parts = {name: getattr(proof, name) for name in ("hand", "autograd", "difference", "left", "right", "deviation")}
    finite = {name: value if value is not None and isfinite(value) else None for name, value in parts.items()}
    return {**finite, "verdict": proof.verdict}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _typed(message: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = message.get(name)
    if not isinstance(value, kind):
        words = {str: "a text", list: "a list", dict: "an object"}
        raise ValueError(f"{name} is {_short(value)}; allowed: {words[kind]}.")
    return value


def _losses(scene: Scene, keys: list[Any]) -> tuple[Loss, ...]:
    offered = {loss.key: loss for loss in scene.losses(CATALOGUE)}
    fewest = 0 if scene.own else 1
    if not fewest <= len(keys) <= scene.most or len(set(map(str, keys))) != len(keys):
        raise ValueError(f"{len(keys)} losses asked for; allowed: {fewest} to {scene.most} different ones.")
    for key in keys:
        if not isinstance(key, str) or key not in offered:
            near = get_close_matches(str(key)[:40], offered, 1, 0.5)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise ValueError(f"Unknown loss {_short(key)} in scene {scene.key}; it offers {', '.join(offered)}.{hint}")
    return tuple(offered[key] for key in keys)


def _params(losses: tuple[Loss, ...], params: dict[str, Any]) -> dict[str, dict[str, Any]]:
    known = {loss.key: loss for loss in losses}
    for key, values in params.items():
        if key not in known:
            raise ValueError(f"Parameters of {_short(key)} came with losses {', '.join(known)}.")
        if not isinstance(values, dict):
            raise ValueError(f"Parameters of {key} are {_short(values)}; allowed: an object.")
    return {key: loss.resolve(params.get(key, {})) for key, loss in known.items()}


def _views(scene: Scene, losses: tuple[Loss, ...], views: list[Any]) -> tuple[str, ...]:
    keys = scene.keys(losses)
    for view in views:
        name, _, key = str(view).partition(":")
        names = (*scene.view_names, "step") if scene.step else scene.view_names
        if not isinstance(view, str) or name not in names or (key and key not in keys):
            raise ValueError(f"Unknown view {_short(view)}; this scene has {', '.join(names)}.")
    return tuple(dict.fromkeys(views))
