"""What the scene socket takes and gives: every malformed request is named, every frame can be read back."""

import json
import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lossviz.live.messages import MAX_BYTES, MAX_SEQ, MessageError, encode, evaluate, parse_json, parse_request
from lossviz.losses import CATALOGUE
from lossviz.scenes import SCENES, Frame, get_scene
from tests.live.frames import decode


def valid(**changes: Any) -> dict[str, Any]:
    message = {
        "seq": 7,
        "scene": "regression",
        "losses": ["huber", "mse"],
        "params": {"huber": {"delta": 2.0}},
        "handles": {"pred": 1.5, "target": -0.5},
        "views": ["curve", "derivative", "surface:huber", "formula:huber"],
    }
    return {name: value for name, value in {**message, **changes}.items() if value is not ...}


def test_a_good_request_is_understood():
    request = parse_request(json.dumps(valid()))
    assert request.seq == 7
    assert request.scene is get_scene("regression")
    assert [loss.key for loss in request.losses] == ["huber", "mse"]
    assert request.params == {"huber": {"delta": 2.0}, "mse": {}}
    assert request.handles == get_scene("regression").parse_handles({"pred": 1.5, "target": -0.5})
    assert request.views == ("curve", "derivative", "surface:huber", "formula:huber")
    assert parse_request(json.dumps(valid()).encode()) == request


BAD: list[tuple[Any, str]] = [
    *[(valid(seq=bad), "seq is ") for bad in (-1, 1.5, "7", None, True, MAX_SEQ + 1, [], ...)],
    (valid(scene=...), "scene is None; allowed: a text"),
    (valid(scene=3), "scene is 3; allowed: a text"),
    (valid(scene="moon"), "Unknown scene 'moon'; there are regression, "),
    (valid(losses=...), "losses is None; allowed: a list"),
    (valid(losses="mse"), "losses is 'mse'; allowed: a list"),
    (valid(losses=[]), "0 losses asked for; allowed: 1 to 8"),
    (valid(losses=["mse"] * 9), "9 losses asked for; allowed: 1 to 8"),
    (valid(losses=["mse", "mse"]), "2 losses asked for; allowed: 1 to 8 different ones"),
    (valid(losses=["mze"], params={}), "Unknown loss 'mze' in scene regression; it offers mse, .*Did you mean mse"),
    (valid(losses=[{"a": 1}], params={}), "Unknown loss {'a': 1} in scene regression"),
    (valid(losses=["cross_entropy"], params={}), "Unknown loss 'cross_entropy' in scene regression"),
    (valid(params=...), "params is None; allowed: an object"),
    (valid(params=[]), r"params is \[\]; allowed: an object"),
    (valid(params={"mae": {}}), "Parameters of 'mae' came with losses huber, mse"),
    (valid(params={"huber": 1}), "Parameters of huber are 1; allowed: an object"),
    (valid(params={"huber": {"detla": 1}}), "huber has no parameter 'detla'; nearest: delta"),
    (valid(params={"huber": {"delta": 0}}), "huber.delta is 0, allowed: 0.01 to 100"),
    (valid(params={"huber": {"delta": "1"}}), "huber.delta is '1', allowed"),
    (valid(params={"huber": {"delta": None}}), "huber.delta is None, allowed"),
    (valid(params={"mse": {"delta": 1}}), "mse has no parameter 'delta'; it has none"),
    (valid(handles=...), "handles is None; allowed: an object"),
    (valid(handles={"pred": 5.1}), "Handle pred is 5.1; allowed: a number from -5 to 5"),
    (valid(handles={"pred": "1"}), "Handle pred is '1'; allowed"),
    (valid(handles={"pred": True}), "Handle pred is True; allowed"),
    (valid(handles={"pred": 10**400}), "Handle pred is 10.*; allowed"),
    (valid(handles={"z1": 1}), "Unknown handle 'z1'; this scene has pred, target"),
    (valid(views=...), "views is None; allowed: a list"),
    (valid(views=["curves"]), "Unknown view 'curves'; this scene has curve, derivative, surface, formula"),
    (valid(views=["surface:mae"]), "Unknown view 'surface:mae'"),
    (valid(views=[3]), "Unknown view 3"),
    ("", "The message is no JSON"),
    ("{", "The message is no JSON"),
    (b"\xff\xfe\x00", "The message is no JSON"),
    ("[" * 5000, "The message is no JSON"),
    ("9" * 6000, "The message is no JSON"),
    ("[]", "The message is no JSON object"),
    ('"seq"', "The message is no JSON object"),
    ('{"seq": NaN}', "The message holds NaN; allowed: finite numbers"),
    (json.dumps(valid(handles={"pred": math.inf})), "The message holds Infinity; allowed: finite numbers"),
    (json.dumps(valid(params={"huber": {"delta": -math.inf}})), "The message holds -Infinity; allowed: finite numbers"),
    (json.dumps(valid()).replace("1.5", "1e999"), "Handle pred is inf; allowed"),
    (" " * (MAX_BYTES + 1), f"The message has {MAX_BYTES + 1} bytes; allowed: at most {MAX_BYTES}"),
]


@pytest.mark.parametrize(("message", "sentence"), BAD, ids=[f"{i}-{s[:30]}" for i, (_, s) in enumerate(BAD)])
def test_a_malformed_request_is_refused_with_the_value_and_what_is_allowed(message: Any, sentence: str):
    text = message if isinstance(message, str | bytes) else json.dumps(message)
    with pytest.raises(MessageError, match=sentence) as refusal:
        parse_request(text)
    assert len(str(refusal.value)) < 500
    if isinstance(message, dict):
        assert refusal.value.seq == (None if sentence == "seq is " else 7)


@pytest.mark.parametrize("depth", range(700, 1100, 20))
@pytest.mark.parametrize("field", ["seq", "scene", "losses", "params", "handles", "views"])
def test_no_depth_of_nesting_gets_past_the_check(field: str, depth: int):
    nested = "[" * depth + "]" * depth
    text = json.dumps(valid(**{field: "here"})).replace('"here"', nested)
    with pytest.raises(MessageError):
        parse_request(text)


def test_a_message_may_be_as_long_as_allowed():
    text = json.dumps(valid())
    assert parse_json(text + " " * (MAX_BYTES - len(text)))["seq"] == 7


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(field=st.sampled_from(sorted(valid())), value=JSON)
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_a_field_there_is_an_answer_or_a_message_error(field: str, value: Any):
    try:
        request = parse_request(json.dumps({**valid(), field: value}))
    except MessageError as error:
        assert str(error)
    else:
        assert decode(evaluate(request))[0]["seq"] == request.seq


# --- frames


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.key)
def test_a_frame_is_read_back_as_it_was_made(scene: Any):
    losses = scene.losses(CATALOGUE)[: scene.most]
    keys = [loss.key for loss in losses]
    maps = [view for view in scene.view_names if view in ("surface", "arrows", "formula")]
    plain = [view for view in scene.view_names if view not in maps]
    views = [*plain, *(f"{view}:{key}" for view in maps for key in keys)]
    message = {"seq": MAX_SEQ, "scene": scene.key, "losses": keys, "params": {}, "handles": {}, "views": views}
    request = parse_request(json.dumps(message))
    frame = scene.views(request.losses, request.handles, request.params, request.views)
    header, arrays = decode(evaluate(request))
    assert header["seq"] == MAX_SEQ
    assert header["handles"] == request.handles
    assert header["params"] == request.params
    assert header["numbers"] == frame.numbers
    assert header["lines"] == frame.lines
    assert list(arrays) == list(frame.arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, frame.arrays[name].to(torch.float32).numpy())


@given(
    numbers=st.dictionaries(st.text(max_size=9), st.floats(), max_size=3),
    shapes=st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=4),
    note=st.text(max_size=20),
)
@settings(max_examples=100, deadline=None)
def test_any_frame_keeps_its_alignment_and_is_strict_json(
    numbers: dict[str, float], shapes: list[list[int]], note: str
):
    source = random.Random(0)
    frame = Frame(numbers={"a": numbers}, notes={"a": note}, lines={"a": [list(numbers.values())]})
    for i, shape in enumerate(shapes):
        values = [source.choice([math.nan, math.inf, 1.5, -2.25]) for _ in range(math.prod(shape))]
        frame.arrays[str(i)] = torch.tensor(values, dtype=torch.float64).reshape(shape)
    header, arrays = decode(encode(parse_request(json.dumps(valid())), frame))
    assert header["numbers"]["a"] == {n: v if math.isfinite(v) else None for n, v in numbers.items()}
    assert header["lines"]["a"] == [[v if math.isfinite(v) else None for v in numbers.values()]]
    assert header["notes"] == {"a": note}
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, frame.arrays[name].to(torch.float32).numpy())


def test_arrays_that_do_not_lie_in_one_piece_are_sent_in_order():
    frame = Frame(arrays={"turned": torch.arange(6.0).reshape(2, 3).T})
    _, arrays = decode(encode(parse_request(json.dumps(valid())), frame))
    assert arrays["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_numbers_travel_exactly():
    request = parse_request(json.dumps(valid(handles={"pred": 0.1 + 0.2, "target": 1 / 3})))
    header, _ = decode(evaluate(request))
    assert header["handles"] == request.handles
    assert (header["handles"]["pred"], header["handles"]["target"]) == (0.1 + 0.2, 1 / 3)
    assert header["numbers"]["mse"]["loss"] == (0.1 + 0.2 - 1 / 3) ** 2
