"""The explorer's address: what is written comes back, and what nobody wrote breaks nothing."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossviz.losses import CATALOGUE
from lossviz.losses.entry import Choice, Flag, Groups, Number, Param, Vector
from lossviz.scenes import SCENES, Handle, Series, Text
from lossviz.scenes.state import TABS, State, parse, plain, to_query

TYPED = [
    "pred",
    "abs(pred - target)**p / p",
    "where(pred < target, 2, 1e3) * max(pred, -1, q)",
    " ( pred+1 )",
    "logsumexp(pred, 0) - pred*target",
]
RANGES = ["", "p:1:4", "delta:0.001:1e3:log,q:-1:.5"]


def held(handle: Handle | Series | Text, count: int | None = None) -> st.SearchStrategy[Any]:
    """What a finger leaves behind: three decimals. Longer ones lose nothing before the twelfth digit."""
    if isinstance(handle, Text):
        return st.sampled_from(TYPED if handle.name == "formula" else RANGES)
    whole = st.integers(int(handle.low), int(handle.high)).map(float)
    one = whole if handle.whole else st.floats(handle.low, handle.high).map(lambda value: round(value, 3) + 0.0)
    if isinstance(handle, Series):
        fewest, most = counts(handle) if count is None else (count, count)
        return st.lists(one, min_size=fewest, max_size=most)
    return one


def counts(series: Series) -> tuple[int, int]:
    """How many entries it may have."""
    return series.fewest or len(series.default), series.most or len(series.default)


def value_of(option: Param) -> st.SearchStrategy[Any]:
    """An option's value, in as many digits as an address holds."""
    if isinstance(option, Number) and not option.integer:
        inside = st.floats(option.low, option.high).map(lambda value: float(f"{value:.12g}"))
        return inside.filter(lambda value: option.low <= value <= option.high)
    return param_of(option)


def param_of(param: Param) -> st.SearchStrategy[Any]:
    if isinstance(param, Number):
        whole = st.integers(int(param.low), int(param.high))
        return whole if param.integer else st.floats(param.low, param.high)
    if isinstance(param, Choice):
        return st.sampled_from(param.options)
    if isinstance(param, Flag):
        return st.booleans()
    if isinstance(param, Groups):
        return st.sampled_from([None, [[0], [1]], [[0, 1]], [[1]]])
    assert isinstance(param, Vector)
    one = st.floats(param.low, param.high)
    several = one | st.lists(one, min_size=1, max_size=4)
    return st.none() | several if param.nullable else several


@st.composite
def states(draw: st.DrawFn) -> State:
    scene = draw(st.sampled_from(SCENES))
    losses = tuple(draw(st.lists(st.sampled_from(scene.losses(CATALOGUE)), max_size=scene.most, unique=True)))
    params = {
        loss.key: loss.resolve({name: draw(param_of(loss.params[name])) for name in loss.params if draw(st.booleans())})
        for loss in losses
    }
    of = {handle.name: handle for handle in scene.handles}
    handles = {name: draw(held(handle)) for name, handle in of.items()}
    for first, *others in scene.paired:
        handles |= {name: draw(held(of[name], len(handles[first]))) for name in others}
    handles |= {name: draw(value_of(option)) for name, option in scene.options.items()}
    keys = scene.keys(losses)
    focus = draw(st.sampled_from(keys)) if keys else ""
    return State(scene, losses, params, handles, focus, draw(st.sampled_from(TABS)))


@given(state=states())
@settings(max_examples=200, deadline=None)
def test_an_address_gives_back_the_state_it_was_made_from(state: State):
    query = to_query(state)
    assert all(isinstance(value, str) for value in query.values())
    assert parse(query, CATALOGUE) == (state, [])


@given(state=states())
@settings(max_examples=50, deadline=None)
def test_what_has_its_default_is_left_out(state: State):
    opening, _ = parse({"scene": state.scene.key}, CATALOGUE)
    assert set(to_query(opening)) == {"scene", "loss"}
    bare = {name: value for name, value in to_query(state).items() if name in ("scene", "loss")}
    assert set(to_query(parse(bare, CATALOGUE)[0])) == {"scene", "loss"}


NAMES = ["scene", "loss", "focus", "tab", "pred", "target", "z1", "label", "huber.delta", "softmax_focal.alpha", "x.y"]
HOSTILE = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "",
            ",",
            "regression",
            "classes",
            "huber,mse",
            "huber,huber",
            "hinge",
            "NaN",
            "Infinity",
            "-1e999",
            "9" * 5000,
            "[" * 5000,
            "null",
            "true",
            '"text"',
            "{}",
            "[1e400]",
            "\x00",
            "\ud800",
            "😀" * 99,
            "1e-400",
            "surface",
        ]
    ),
)


def usable(state: State) -> None:
    assert state.scene in SCENES
    assert len(state.losses) <= state.scene.most
    assert set(state.losses) <= set(state.scene.losses(CATALOGUE))
    assert state.focus in (state.scene.keys(state.losses) or [""])
    assert state.tab in TABS
    assert state.scene.parse_handles(state.handles) == state.handles
    for loss in state.losses:
        assert loss.resolve(state.params[loss.key]) == state.params[loss.key]
    if state.losses:
        state.scene.views(state.losses, state.handles, state.params, ["formula:" + state.focus])


@given(query=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=20), HOSTILE))
@settings(max_examples=400, deadline=None)
def test_no_address_is_refused_and_each_problem_is_a_sentence(query: dict[str, str]):
    state, problems = parse(query, CATALOGUE)
    usable(state)
    for problem in problems:
        assert len(problem) < 500 and not problem.startswith(("Traceback", "Expecting"))
    usable(parse(to_query(state), CATALOGUE)[0])


@pytest.mark.parametrize(
    ("query", "sentences"),
    [
        ({"scene": "moon"}, ["Unknown scene 'moon'; there are regression, "]),
        ({"loss": "hubr"}, ["no loss 'hubr'; it offers mse, mae, huber, msle, "]),
        ({"loss": "hubr"}, ["Did you mean huber?"]),
        ({"loss": "huber,hinge"}, ["no loss 'hinge'"]),
        ({"pred": "nan"}, ["Handle pred is 'nan'; allowed: a number from -5 to 5."]),
        ({"pred": "NaN"}, ["Handle pred is nan; allowed: a number from -5 to 5."]),
        ({"pred": "7", "target": "x"}, ["Handle pred is 7; allowed", "Handle target is 'x'; allowed"]),
        ({"huber.delta": "0"}, ["huber.delta is 0, allowed: 0.01 to 100"]),
        ({"scene": "classes", "label": "2.5"}, ["Handle label is 2.5; allowed: a whole number."]),
        ({"scene": "classes", "loss": "softmax_focal", "softmax_focal.gamma": "NaN"}, ["softmax_focal.gamma is nan"]),
    ],
)
def test_a_problem_names_the_value_and_what_is_allowed(query: dict[str, str], sentences: list[str]):
    state, problems = parse(query, CATALOGUE)
    assert len(problems) == len(sentences)
    for problem, sentence in zip(problems, sentences, strict=True):
        assert sentence in problem
    usable(state)


def test_an_infinite_parameter_travels_as_text():
    state, problems = parse({"loss": "barron", "barron.alpha": '"-inf"'}, CATALOGUE)
    assert problems == []
    assert state.params["barron"]["alpha"] == -math.inf
    assert to_query(state)["barron.alpha"] == '"-inf"'
    assert plain(state.params["barron"]) == {"alpha": "-inf", "c": 1.0}


def test_one_bad_value_costs_nothing_else():
    state, problems = parse({"loss": "huber,hubr,mse", "pred": "9", "target": "1.5", "huber.delta": "2"}, CATALOGUE)
    assert [loss.key for loss in state.losses] == ["huber", "mse"]
    assert state.handles == state.scene.parse_handles({"target": 1.5})
    assert state.params["huber"] == {"delta": 2.0}
    assert len(problems) == 2


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_a_scene_without_losses_in_the_address_opens_with_its_own(scene: Any):
    assert tuple(loss.key for loss in parse({"scene": scene.key}, CATALOGUE)[0].losses) == scene.opening
    assert parse({"scene": scene.key, "loss": ""}, CATALOGUE)[0].losses == ()


def test_coordinates_that_do_not_belong_together_are_left_where_they_were():
    query = {"scene": "line", "xs": "1,2", "slope": "1.5"}
    state, problems = parse(query, CATALOGUE)
    assert state.handles == {**state.scene.parse_handles({}), "slope": 1.5}
    assert problems == ["There are 2 of xs and 9 of ys; allowed: as many of each."]
    state, problems = parse({**query, "ys": "3,4"}, CATALOGUE)
    assert (state.handles["xs"], state.handles["ys"], problems) == ([1, 2], [3, 4], [])
