"""Figure specs: plain JSON, colours as tokens that the components know, and no heavy import behind them."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from lossviz.figures import COLOURS, DASHES, classes, comparison, critic, regression, sequence, slice, tasks, training
from lossviz.ui import WEB

NAMES = [f"loss {i}" for i in range(8)]
WORDS = ["prediction", "label", "loss", "derivative"]
CURVES = ["epoch", "accuracy", "train loss", "gradient norm", "test loss"]


def figures(count: int) -> dict[str, dict[str, Any]]:
    """Every spec there is, for ``count`` losses."""
    names = NAMES[:count]
    made = {f"regression.{name}": spec for name, spec in regression.figures(names, -5, 5, WORDS).items()}
    made |= {f"classes.{name}": spec for name, spec in classes.figures(names, WORDS[1:]).items()}
    words = [*WORDS, "sample", "gradient"]
    made |= {f"critic.{name}": spec for name, spec in critic.figures(names, -4, 4, 8, 6, words).items()}
    made |= {f"critic.{name}": spec for name, spec in critic.plane(names, -4, 4, words[:3]).items()}
    made |= {f"tasks.{name}": spec for name, spec in tasks.figures(names, words[:5]).items()}
    tokens = sequence.figures(dict(enumerate(names)), 6, words[:2])
    made |= {f"sequence.{name}": spec for name, spec in tokens.items()}
    made |= {f"slice.{name}": spec for name, spec in slice.figures(names[0], -5, 5, WORDS[1:]).items()}
    made |= {f"training.{name}": spec for name, spec in training.curves(names, 10, CURVES).items()}
    banded = training.curves(names, 10, CURVES, banded=True)
    made |= {f"training with bands.{name}": spec for name, spec in banded.items()}
    made["comparison"] = comparison.overlay([(name, [0.0, 1.0], [0.5, 0.25]) for name in names], "epoch", "loss")
    return made


def strings(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    elif isinstance(part, dict):
        for value in part.values():
            yield from strings(value)
    elif isinstance(part, list | tuple):
        for value in part:
            yield from strings(value)


@pytest.mark.parametrize("count", [1, 2, 8])
def test_specs_are_strict_json_with_data_and_a_layout(count: int):
    for name, spec in figures(count).items():
        json.dumps(spec, allow_nan=False)
        assert set(spec) == {"data", "layout"}, name
        assert spec["data"], name
        assert all(trace["type"] for trace in spec["data"])


def test_every_token_is_one_that_the_components_replace():
    known = set(re.findall(r'"(@\w+)":', (WEB / "plots.js").read_text())) | {f"@loss{i}" for i in range(8)}
    assert {"@text", "@muted", "@grid", "@surface", "@warm"} <= known
    used = {text for spec in figures(8).values() for text in strings(spec) if text.startswith("@")}
    assert used <= known
    assert set(COLOURS) <= used


def test_a_colour_that_depends_on_the_theme_is_never_written_out():
    """But for white lines over a colour map, which look the same in both themes, and what Streamlit dresses itself."""
    written = {
        text
        for name, spec in figures(8).items()
        if name != "comparison"
        for text in strings(spec)
        if text.startswith(("#", "rgb"))
    }
    assert written == {"rgba(0,0,0,0)", "rgba(255,255,255,.55)"}


def test_every_colour_has_a_value_in_both_themes():
    style = (WEB / "lossviz.css").read_text()
    for i in range(8):
        assert style.count(f"--lv-loss{i}:") == 2, f"--lv-loss{i}"
    for name in ("--lv-muted", "--lv-grid", "--lv-zero", "--lv-warm"):
        assert style.count(f"{name}:") == 2, name


def test_losses_differ_in_colour_and_in_dash():
    assert len(set(COLOURS)) == len(set(DASHES)) == 8
    data = figures(8)["regression.curve"]["data"]
    lines = [(trace["line"]["color"], trace["line"]["dash"]) for trace in data[:8]]
    assert lines == list(zip(COLOURS, DASHES, strict=True))
    bars = figures(8)["classes.bars"]["data"]
    assert [(bar["line"]["color"], bar["line"]["dash"]) for bar in bars] == list(zip(COLOURS, DASHES, strict=True))
    overlaid = [trace["line"] for trace in comparison.overlay([("a", [], [])] * 20, "x", "y")["data"]]
    assert len({(line["color"], line["dash"]) for line in overlaid}) == 20


@pytest.mark.parametrize("count", [1, 3, 8])
def test_traces_stand_where_the_components_put_their_arrays(count: int):
    specs = figures(count)
    types = {name: [trace["type"] for trace in spec["data"]] for name, spec in specs.items()}
    assert types["regression.curve"] == ["scatter"] * (2 * count + 2)
    assert types["regression.derivative"] == ["scatter"] * (count + 1)
    assert types["regression.contour"] == ["contour"]
    assert types["regression.surface"] == types["classes.surface"] == ["surface"]
    assert types["classes.simplex"] == ["contour", "scatter", "scatter"]
    assert types["classes.bars"] == ["bar"] * count
    assert types["training.accuracy"] == types["training.test_loss"] == ["scatter"] * (2 * count)
    assert types["training.train_loss"] == types["training.grad_norm"] == ["scatter"] * count
    assert types["training with bands.accuracy"] == ["scatter"] * (3 * count)
    bands = specs["training with bands.train_loss"]["data"][:count]
    assert [(band["fill"], band["fillcolor"]) for band in bands] == [("toself", colour) for colour in COLOURS[:count]]


def test_handles_can_lie_over_a_picture():
    """Margins that Plotly does not move, and axes that neither zoom nor rescale by themselves."""
    for name in ("regression.curve", "regression.derivative", "regression.contour", "classes.simplex"):
        layout = figures(2)[name]["layout"]
        assert layout["margin"]["autoexpand"] is False
        assert layout["dragmode"] is False
        for axis in (layout["xaxis"], layout["yaxis"]):
            assert axis["fixedrange"] is True
            assert axis.get("automargin", False) is False


def test_the_simplex_outline_joins_the_corners_where_classes_lie():
    outline = figures(1)["classes.simplex"]["data"][1]
    assert list(zip(outline["x"], outline["y"], strict=True)) == [(0, 0), (1, 0), (0.5, math.sqrt(3) / 2), (0, 0)]


def test_specs_share_no_parts_that_one_picture_could_change_for_another():
    first, second = figures(2), figures(2)
    first["training.accuracy"]["layout"]["xaxis"]["range"] = [0, 1]
    first["regression.curve"]["data"][0]["line"]["color"] = "red"
    assert second == figures(2)


def test_neither_torch_nor_streamlit_nor_plotly_is_imported():
    program = (
        "import sys, lossviz.figures.regression, lossviz.figures.classes, lossviz.figures.slice\n"
        "import lossviz.figures.training, lossviz.figures.comparison\n"
        "print(sorted({'torch', 'streamlit', 'plotly', 'numpy', 'pandas'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
