"""A LaTeX formula as one line of plain text, for terminals. LaTeX is read by latex2mathml; this writes its MathML."""

import html
import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

Kind = Literal["word", "fraction", "operator", "prefix", "open", "close", "bar", "comma", "gap"]
KINDS: dict[str, Kind] = {
    **dict.fromkeys("=+−·<>≤≥≠∈∉∓±×→←⇒∣≈:", "operator"),
    **dict.fromkeys("([{", "open"),
    **dict.fromkeys(")]}", "close"),
    **dict.fromkeys("|‖", "bar"),
    **dict.fromkeys(",;", "comma"),
    **dict.fromkeys("∂∇", "prefix"),
}
SIGNS = "+−±∓"
ACCENTS = {"^": "\u0302", "¯": "\u0304", "―": "\u0304", "~": "\u0303"}
RAISED = str.maketrans("0123456789−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Token(NamedTuple):
    """A piece of the line, and how it stands to its neighbours."""

    text: str
    kind: Kind


def plain(latex: str) -> str:
    r"""The formula as a line: ``\frac{a + b}{c}`` reads ``(a + b)/c``, cases stand one after another in braces."""
    return _line([*_tokens(convert_to_element(latex))])


def _tokens(node: Element) -> Iterator[Token]:
    match node.tag:
        case "math" | "mrow" | "mstyle" | "mtd":
            for child in node:
                yield from _tokens(child)
            if node.find("mtable") is not None:
                yield Token("}", "close")
        case "mi" | "mn" | "mtext" | "mo":
            text = html.unescape(node.text or "").replace("\u00a0", " ").strip()
            yield Token(text, "operator" if text == "/" else KINDS.get(text, "word"))
        case "mspace":
            if float(node.get("width", "0").removesuffix("em")) >= 1:
                yield Token(" ", "gap")
        case "mfrac":
            above, below = (_text(child) for child in node)
            yield Token(f"{_group(above)}/{_group(below)}", "fraction")
        case "msqrt":
            yield Token(f"√{_group(_line([token for child in node for token in _tokens(child)]))}", "word")
        case "mover":
            base, accent = (_text(child) for child in node)
            yield Token(unicodedata.normalize("NFC", base[:1] + ACCENTS[accent] + base[1:]), "word")
        case "msub" | "msup" | "msubsup":
            yield _scripts(node)
        case "mtable":
            yield Token("; ".join(_case(row) for row in node), "word")
        case other:
            raise ValueError(f"A formula holds the MathML element {other}, which has no plain text yet")


def _scripts(node: Element) -> Token:
    base, *scripts = ([*_tokens(child)] for child in node)
    text = _line(base) if len(base) == 1 and base[0].kind != "fraction" else _group(_line(base))
    if node.tag != "msup":
        text += "_" + _group(_line(scripts[0]))
    if node.tag != "msub":
        raised = _line(scripts[-1])
        if raised == "′":
            text += raised
        elif raised.lstrip("−").isdecimal():
            text += raised.translate(RAISED)
        else:
            text += f"^({raised})" if set(raised) & set("_^") and not _is_enclosed(raised) else f"^{_group(raised)}"
    return Token(text, base[0].kind if len(base) == 1 and base[0].kind != "fraction" else "word")


def _case(row: Element) -> str:
    value, *conditions = (_text(cell) for cell in row)
    words = [word if word.startswith(("if ", "else", "otherwise")) else f"if {word}" for word in conditions]
    return " ".join([value, *words])


def _text(node: Element) -> str:
    return _line([*_tokens(node)])


def _group(text: str) -> str:
    """In parentheses, unless it is one piece or stands in them already."""
    return text if not set(text) & set(" /") or _is_enclosed(text) else f"({text})"


def _is_enclosed(text: str) -> bool:
    if text[0] + text[-1] == "||" and text.count("|") == 2:
        return True
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0:
            return place == len(text) - 1 and text[0] == "("
    return False


def _line(tokens: list[Token]) -> str:
    line, before, bars = "", Token("", "open"), 0
    for place, (text, kind) in enumerate(tokens):
        after: Kind = tokens[place + 1].kind if place + 1 < len(tokens) else "close"
        now = kind
        if kind == "bar":
            bars += 1
            now = "open" if bars % 2 else "close"
        if kind == "operator" and text in SIGNS and before.kind in ("open", "operator", "comma", "gap"):
            now = "prefix"
        if kind == "fraction":
            # Beside a factor 1/2 r could be read as 1/(2 r).
            follows = before.kind in ("word", "close") or (before.kind == "prefix" and before.text not in SIGNS)
            is_factor = follows or after in ("word", "fraction", "prefix", "open", "bar")
            text, now = f"({text})" if is_factor else text, "word"
        line += (" " if _is_apart(before.kind, now) else "") + text
        before = Token(text, now)
    return line.strip()


def _is_apart(before: Kind, now: Kind) -> bool:
    if "operator" in (before, now) or before == "comma" or "gap" in (before, now):
        return now != "comma"
    return before in ("word", "close") and now in ("word", "prefix")
