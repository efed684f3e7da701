"""Messages and formulas that nobody sends in good faith, made from good ones; the same ones for the same seed."""

import json
import math
import random
from collections.abc import Callable
from copy import deepcopy as copy
from typing import Any, TypeAlias

from lossviz.language import FUNCTIONS, MOST_CHARACTERS
from lossviz.live.messages import MAX_BYTES, MAX_SEQ
from lossviz.losses import CATALOGUE
from lossviz.losses.entry import Loss, Number
from lossviz.scenes import EVERY_SCENE, Handle, Scene, Series
from lossviz.scenes.state import plain

Message: TypeAlias = str | bytes
Place: TypeAlias = tuple[Any, Any]
"""A container and a key or index in it."""

INTERNALS = ("__proto__", "constructor", "prototype", "toString", "__class__", "__dict__", "__init__", "hasOwnProperty")
NAMES = (
    *INTERNALS,
    "",
    " ",
    "\x00",
    "seq",
    "pred ",
    "PRED",
    "ｐred",
    "рred",
    "a" * 5000,
    "\ud800",
    "💥" * 50,
    "../../x",
    "%s%n",
)
NUMBERS = (0, -1, 1.5, -0.0, 1e308, -1e308, 5e-324, 1e-400, 2**53 + 1, 10**30, -(10**30), 10**400, MAX_SEQ + 1)
JUNK: tuple[Any, ...] = (None, True, False, *NUMBERS, "1", "NaN", "inf", *NAMES, [], {}, [[]], [{}], {"a": {"a": 1}})
TOKENS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e999",
    "9" * 5000,
    "-",
    ",",
    "}",
    "]",
    '"',
    "\\",
    "\x00",
    "\ufeff",
    "/**/",
    "'",
)
LOST = (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xe2\x28\xa1")
"""Bytes that are no UTF-8: overlong, surrogates, beyond Unicode, cut off."""


def good(source: random.Random, scene: Scene | None = None) -> dict[str, Any]:
    """A request that is answered by a frame: of any scene, with a few of its losses and views."""
    scene = scene or source.choice(EVERY_SCENE)
    offered = scene.losses(CATALOGUE)
    losses = source.sample(offered, source.randint(1, min(3, len(offered), scene.most)))
    keys = scene.keys(losses)
    named = [*scene.view_names, *(f"{view}:{source.choice(keys)}" for view in scene.view_names)]
    return {
        "seq": source.randrange(1000),
        "scene": scene.key,
        "losses": [loss.key for loss in losses],
        "params": {loss.key: _params(source, loss) for loss in losses},
        "handles": scene.parse_handles({}) if source.random() < 0.7 else {},
        "views": source.sample(named, source.randint(1, min(4, len(named)))),
    }


def _params(source: random.Random, loss: Loss) -> dict[str, Any]:
    return plain(loss.resolve()) if source.random() < 0.7 else {}


def message(source: random.Random) -> Message:
    """A good request with one to three things wrong in it, most of the time."""
    request = good(source)
    for _ in range(source.choice((1, 1, 1, 2, 3))):
        source.choice(_CHANGES)(source, request)
    text = json.dumps(request, ensure_ascii=source.random() < 0.7)
    if source.random() < 0.25:
        text = source.choice(_SPOILT)(source, text)
    if isinstance(text, bytes) or source.random() < 0.8:
        return text
    return text.encode(errors="surrogatepass")


# --- something wrong in the object


def _places(value: Any) -> list[Place]:
    """Every place inside nested lists and objects."""
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else range(len(value))
    return [place for key in keys for place in ((value, key), *_places(value[key]))]


def _replace(source: random.Random, request: dict[str, Any]) -> None:
    container, key = source.choice(_places(request))
    container[key] = copy(source.choice(JUNK))


def _bend(source: random.Random, request: dict[str, Any]) -> None:
    """A number just beyond, far beyond, or as something that only looks like it."""
    places = [
        (c, k) for c, k in _places(request) if isinstance(c[k], float) or (type(c[k]) is int and abs(c[k]) < 1e100)
    ]
    container, key = source.choice(places or _places(request))
    number = container[key] if places else 1
    bent = (-number, number * 1e9, number + 1e-9, math.nextafter(number, math.inf), str(number), [number], bool(number))
    container[key] = source.choice((*bent, math.nan, math.inf, -math.inf))


def _drop(source: random.Random, request: dict[str, Any]) -> None:
    container, key = source.choice(_places(request))
    del container[key]


def _add(source: random.Random, request: dict[str, Any]) -> None:
    inside = [request, *(c[k] for c, k in _places(request) if isinstance(c[k], dict))]
    source.choice(inside)[source.choice(NAMES)] = copy(source.choice(JUNK))


def _lengthen(source: random.Random, request: dict[str, Any]) -> None:
    lists = [c[k] for c, k in _places(request) if isinstance(c[k], list)]
    if lists:
        chosen = source.choice(lists)
        chosen.extend([source.choice([*chosen, *JUNK])] * source.choice((1, 9, 400)))


def _nest(source: random.Random, request: dict[str, Any]) -> None:
    container, key = source.choice(_places(request))
    for _ in range(source.choice((1, 10, 100))):
        container[key] = [container[key]] if source.random() < 0.5 else {"a": container[key]}


def _elsewhere(source: random.Random, request: dict[str, Any]) -> None:
    """What belongs to another scene."""
    request[source.choice(("scene", "losses", "params", "handles", "views"))] = good(source)[
        source.choice(("scene", "losses", "params", "handles", "views"))
    ]


def _view(source: random.Random, request: dict[str, Any]) -> None:
    view = source.choice(("curve", "surface", "formula", "proof", "step", "checks", "witness"))
    key = source.choice(("", ":", ":huber", ":formula", f":{source.choice(NAMES)}", ":mse:mse"))
    if isinstance(request.get("views"), list):
        request["views"].append(view + key)


def _extremes(source: random.Random, request: dict[str, Any]) -> None:
    """Everything at one of the ends that are allowed: good, and as dear and as close to infinity as it gets."""
    scene = next((scene for scene in EVERY_SCENE if scene.key == request.get("scene")), None)
    if scene is None or not isinstance(request.get("losses"), list):
        return
    specs = {handle.name: handle for handle in scene.handles} | dict(scene.options)
    request["handles"] = {name: _end(source, spec) for name, spec in specs.items() if source.random() < 0.8}
    losses = [loss for loss in CATALOGUE if loss.key in map(str, request["losses"])]
    request["params"] = {loss.key: {name: _end(source, spec) for name, spec in loss.params.items()} for loss in losses}


def _end(source: random.Random, spec: Any) -> Any:
    if isinstance(spec, Series):
        count = source.choice((spec.fewest, spec.most)) or len(spec.default)
        return [source.choice((spec.low, spec.high)) for _ in range(count)]
    if isinstance(spec, Handle | Number):
        return source.choice((spec.low, spec.high))
    return spec.default


def _type(source: random.Random, request: dict[str, Any]) -> None:
    request |= {"scene": "formula", "losses": [], "params": {}, "handles": {"formula": formula(source)}}
    request["views"] = source.sample(["curve", "derivative", "formula:formula", "proof:formula", "step:formula"], 2)


_CHANGES: tuple[Callable[[random.Random, dict[str, Any]], None], ...] = (
    *(_replace, _replace, _bend, _bend, _drop, _add, _lengthen, _nest, _elsewhere, _view, _extremes, _extremes, _type),
)


# --- something wrong with the text


def _insert(source: random.Random, text: str) -> str:
    at = source.randrange(len(text) + 1)
    return text[:at] + source.choice(TOKENS) + text[at + source.randrange(2) :]


def _cut(source: random.Random, text: str) -> str:
    return text[: source.randrange(len(text))]


def _twice(source: random.Random, text: str) -> str:
    """The same key again, with another value."""
    key = source.choice(("seq", "scene", "handles", "views"))
    return f'{text[:-1]}, "{key}": {json.dumps(source.choice(JUNK))}}}'


def _deep(source: random.Random, text: str) -> str:
    bracket, closed = source.choice((("[", "]"), ('{"a":', "}")))
    depth = source.choice((50, 900, 3000))
    return text.replace("[", bracket * depth + "1" + closed * source.choice((0, depth)), 1)


def _pad(source: random.Random, text: str) -> str:
    return text + source.choice((" ", "x", "é")) * source.choice((1, MAX_BYTES - len(text), MAX_BYTES))


def _lose(source: random.Random, text: str) -> bytes:
    content = text.encode(errors="surrogatepass")
    at = source.randrange(len(content) + 1)
    return content[:at] + source.choice(LOST) + content[at:]


def _foreign(source: random.Random, text: str) -> bytes:
    return text.encode(source.choice(("utf-16", "utf-32", "utf-7", "utf-8-sig")), errors="replace")


def _noise(source: random.Random, text: str) -> bytes:
    return source.randbytes(source.randrange(300))


_SPOILT: tuple[Callable[[random.Random, str], Message], ...] = (
    *(_insert, _insert, _cut, _twice, _deep, _pad, _lose, _foreign, _noise),
)


# --- formulas

FORMULAS = (
    "abs(pred - target)**p / p",
    "where(abs(pred - target) < d, 0.5 * (pred - target)**2, d * (abs(pred - target) - 0.5 * d))",
    "log(1 + exp(-pred * target))",
    "softplus(pred) - target * pred",
    "max(q * (target - pred), (q - 1) * (target - pred))",
    "logsumexp(pred, 0) - clamp(target, 0, 1) * pred",
    "mean(pred, target)**2 + softmax(pred, target)",
    "1 - exp(-(pred - target)**2 / (2 * s**2))",
    "sqrt(1 + ((pred - target) / c)**2) - 1",
)
WORDS = (*FUNCTIONS, "pred", "target", "pi", "e", "a", "b2", "inf", "nan", "True", "None", "lambda", "import", "self")
SIGNS = (
    "+",
    "-",
    "*",
    "/",
    "**",
    "(",
    ")",
    ",",
    "<",
    "<=",
    "==",
    "!=",
    "=",
    "^",
    "%",
    "//",
    "@",
    ".",
    "[",
    "]",
    ":",
    ";",
)
LITERALS = ("0", "1", "1e308", "1e309", "1e-400", "9" * 60, "0x10", "1_000", "1.5.5", ".", ".5", "5.", "1e", "00", "1j")
STRANGE = (*"π−×１рééⅷ💥\u200b\u202e\ud800\x00\n\t\u2028'\"\\#$&|~`?!",)
ESCAPES = (
    "__import__('os').system('true')",
    "pred.__class__.__bases__[0].__subclasses__()",
    "eval('pred')",
    "exec(pred)",
    "open('/etc/passwd')",
    "globals()",
    "getattr(pred, 'data')",
    "{0.__class__}",
    "f'{pred}'",
    "[x for x in (pred,)]",
    "(lambda: pred)()",
    "pred if target else 0",
    "pred := 1",
    "torch.load(pred)",
)


def formula(source: random.Random) -> str:
    """A formula with something wrong in it, most of the time."""
    return source.choice(_FORMULAS)(source)


def _changed(source: random.Random) -> str:
    text = source.choice(FORMULAS)
    for _ in range(source.randint(1, 3)):
        at = source.randrange(len(text) + 1)
        piece = source.choice(source.choice((WORDS, SIGNS, LITERALS, STRANGE)))
        text = text[:at] + piece + text[at + source.choice((0, 1, len(piece))) :]
    return text


def _heap(source: random.Random) -> str:
    """Words and signs in any order."""
    pieces = (
        source.choice(source.choice((WORDS, WORDS, SIGNS, SIGNS, LITERALS))) for _ in range(source.randint(1, 40))
    )
    return source.choice(("", " ")).join(pieces)


def _grown(source: random.Random) -> str:
    """By the grammar, however deep: good unless it is too large."""

    def phrase(depth: int) -> str:
        if depth == 0 or source.random() < 0.2:
            return source.choice(("pred", "target", "a", "b", "c", "d", "x1", "x2", "x3", "0", "2", "1e30", "pi"))
        name = source.choice(list(FUNCTIONS))
        count = source.randint(FUNCTIONS[name].fewest, min(3, FUNCTIONS[name].most))
        parts = [phrase(depth - 1) for _ in range(count)]
        if name == "where":
            parts[0] = f"{parts[0]} {source.choice(('<', '>=', '=='))} {phrase(depth - 1)}"
        call = f"{name}({', '.join(parts)})"
        return source.choice((call, f"({phrase(depth - 1)} {source.choice('+-*/')} {phrase(depth - 1)})", f"-{call}"))

    return phrase(source.randint(1, 4))


def _deeper(source: random.Random) -> str:
    depth = source.choice((3, 15, 19, 20, 21, 60, 2000))
    opened, closed = source.choice((("(", ")"), ("abs(", ")"), ("-", ""), ("2**", ""), ("max(1,", ")"), ("(((", ")")))
    return opened * depth + "pred" + closed * source.choice((depth, depth - 1, 0))


def _tower(source: random.Random) -> str:
    base = source.choice(("pred", "9", "exp(pred)", "(pred + 1e300)"))
    return base + f"**{source.choice(('9', 'pred', '1e308', '-9', '0.5'))}" * source.randint(1, 30)


def _undefined(source: random.Random) -> str:
    nothing = source.choice(("0", "(target - target)", "(pred - pred)", "sign(0 * pred)", "1e-400", "log(1)"))
    return source.choice(
        (f"pred / {nothing}", f"log({nothing} * pred)", f"sqrt(pred - 9) / {nothing}", f"pred**(-1 / {nothing})")
    )


def _endless(source: random.Random) -> str:
    part = source.choice(("pred+", "pred*", "-", "(", "1,", "pred<", "a", "9", "max(", " ", "pred "))
    return (part * MOST_CHARACTERS)[
        : source.choice((MOST_CHARACTERS - 4, MOST_CHARACTERS, MOST_CHARACTERS + 1, 9000))
    ] + "pred"


def _escape(source: random.Random) -> str:
    return source.choice(("", "pred + ", "abs(")) + source.choice(ESCAPES)


_FORMULAS: tuple[Callable[[random.Random], str], ...] = (
    *(_changed, _changed, _changed, _heap, _grown, _deeper, _tower, _undefined, _endless, _escape),
)
