"""What several scenes draw: discs, arrows, colour bars, surfaces."""

from collections.abc import Sequence

from lossviz.figures.style import COLOURS, Spec

MAP = "Cividis"
"""Reads in grey too."""


def points(names: Sequence[str]) -> Spec:
    """One disc for each loss, in its colour."""
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "marker": {
            "size": 10,
            "color": [COLOURS[i] for i in range(len(names))],
            "line": {"color": "@surface", "width": 2},
        },
        "hoverinfo": "skip",
    }


def arrows(width: float) -> Spec:
    """Arrows between nulls: from each point to the next."""
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "x": [],
        "y": [],
        "line": {"color": "@warm", "width": width},
        "marker": {"symbol": "arrow", "angleref": "previous", "color": "@warm"},
        "hoverinfo": "skip",
    }


def bar() -> Spec:
    """A quiet colour bar."""
    return {"thickness": 8, "outlinewidth": 0, "tickfont": {"size": 11, "color": "@muted"}, "x": 1.02, "nticks": 5}


def scene_3d(x: str, y: str, z: str) -> Spec:
    """The layout of a surface."""

    def side(title: str) -> Spec:
        return {"title": {"text": title, "font": {"size": 12}}, "gridcolor": "@grid", "color": "@muted"}

    return {
        "scene": {
            "xaxis": side(x),
            "yaxis": side(y),
            "zaxis": side(z),
            "camera": {"eye": {"x": -1.3, "y": -1.5, "z": 0.9}},
            "aspectmode": "manual",
            "aspectratio": {"x": 1, "y": 1, "z": 0.75},
        },
        "margin": {"l": 0, "r": 0, "t": 0, "b": 0},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": "@text", "family": "@font"},
        "uirevision": "held",
    }
