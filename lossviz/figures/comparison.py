"""Several runs in one picture: whole curves, drawn once."""

from collections.abc import Sequence
from html import escape

from lossviz.figures.style import Spec, layout

DARK_AND_LIGHT = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b38600", "#56b4e9", "#808080", "#8f5bd6")
PLOTLY_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def overlay(lines: Sequence[tuple[str, Sequence[float], Sequence[float]]], x: str, y: str) -> Spec:
    """Return a figure with one line for each ``(name, x values, y values)``; ``x`` and ``y`` are the axes' titles."""
    data = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(xs) < 30 else "lines",
            # Plotly reads names as HTML, and a formula may compare.
            "name": escape(name, quote=False),
            "x": list(xs),
            "y": list(ys),
            "line": {
                "color": DARK_AND_LIGHT[i % len(DARK_AND_LIGHT)],
                "dash": PLOTLY_DASHES[i // len(DARK_AND_LIGHT) % len(PLOTLY_DASHES)],
                "width": 2,
            },
        }
        for i, (name, xs, ys) in enumerate(lines)
    ]
    plain = layout({"title": {"text": x}}, {"title": {"text": y}}, (60, 16, 10, 46))
    for name in ("font", "paper_bgcolor", "plot_bgcolor", "hovermode", "dragmode"):
        plain.pop(name)
    legend = {"orientation": "h", "y": -0.22}
    return {
        "data": data,
        "layout": {**plain, "showlegend": True, "hovermode": "x unified", "legend": legend, "height": 440},
    }
