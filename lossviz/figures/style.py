"""One look for every picture: colours and dashes by position, quiet axes, no tool bar."""

from typing import Any

COLOURS = tuple(f"@loss{position}" for position in range(8))
"""By position in the chosen list; the eight of Okabe and Ito, light and dark variants in the style sheet."""

DASHES = (
    "solid",
    "8px 4px",
    "2px 3px",
    "10px 3px 2px 3px",
    "5px 2px",
    "14px 4px",
    "2px 6px",
    "10px 3px 2px 3px 2px 3px",
)
"""By position too: never colour alone."""

Spec = dict[str, Any]


def axis(title: str, **more: Any) -> Spec:
    """Return an axis with its title, hairline grid and no automatic margins: handles lie exactly over the picture."""
    return {
        "title": {"text": title, "standoff": 6, "font": {"size": 13}},
        "gridcolor": "@grid",
        "zerolinecolor": "@zero",
        "linecolor": "@grid",
        "tickfont": {"size": 12, "color": "@muted"},
        "automargin": False,
        "fixedrange": True,
        **more,
    }


def layout(x: Spec, y: Spec, margin: tuple[int, int, int, int] = (52, 12, 10, 40), **more: Any) -> Spec:
    """Return a layout; ``margin`` is left, right, top, bottom in pixels."""
    left, right, top, bottom = margin
    return {
        "xaxis": x,
        "yaxis": y,
        "margin": {"l": left, "r": right, "t": top, "b": bottom, "pad": 0, "autoexpand": False},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "family": "@font", "size": 13},
        "showlegend": False,
        "hovermode": False,
        "dragmode": False,
        **more,
    }


def line(position: int, name: str, width: float = 2.5) -> Spec:
    """Return a line trace in the colour and dash of ``position``."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [],
        "y": [],
        "line": {"color": COLOURS[position], "dash": DASHES[position], "width": width, "simplify": False},
        "hoverinfo": "skip",
    }


_GROW = {"font": "size", "tickfont": "size", "line": "width", "marker": "size", "margin": None}


def enlarged(spec: Any, factor: float) -> Any:
    """Return a spec with type, lines, discs and margins ``factor`` times as large."""
    if isinstance(spec, list):
        return [enlarged(part, factor) for part in spec]
    if not isinstance(spec, dict):
        return spec
    grown = {name: enlarged(part, factor) for name, part in spec.items()}
    for name, size in _GROW.items():
        part = grown.get(name)
        if isinstance(part, dict):
            sizes = ("l", "r", "t", "b") if size is None else (size,)
            bigger = {key: part[key] * factor for key in sizes if isinstance(part.get(key), int | float)}
            grown[name] = {**part, **bigger}
    return grown
