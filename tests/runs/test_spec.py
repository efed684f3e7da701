import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossviz.language import LARGEST_VALUE, MOST_CHARACTERS, MOST_DEPTH, MOST_NODES
from lossviz.runs import ARTICLE, MODELS, LossChoice, RunSpec, pace

GOOD = {"losses": [{"key": "mse", "params": {}}, {"key": "huber", "params": {"delta": 0.5}}], "epochs": 2}


def typed(formula, **params):
    return {"losses": [{"key": "formula", "formula": formula, "params": params}]}


def test_a_typed_formula_survives_json():
    spec = RunSpec.parse(typed("delta * abs(pred - target)**p / p", p=1.5))
    (choice,) = spec.losses
    assert choice == LossChoice("formula", {"delta": 1.0, "p": 1.5}, "delta * abs(pred - target)**p / p")
    assert RunSpec.parse(json.loads(json.dumps(spec.to_json()))) == spec


def test_what_is_not_typed_is_written_as_before():
    assert RunSpec.parse(GOOD).to_json()["losses"] == GOOD["losses"]


def test_a_formula_is_its_own_name_and_short_where_there_is_little_room():
    spec = RunSpec.parse({"losses": [*typed("abs(pred - target)**p", p=2)["losses"] * 2, {"key": "mse"}]})
    assert spec.labels() == ("abs(pred - target)**p", "abs(pred - target)**p#2", "mse")
    assert spec.losses[0].label() == "abs(pred - target)**p (p=2.0)"
    assert spec.losses[0].label(12) == "abs(pred -… (p=2.0)"


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ({"key": "formula"}, ["a formula is None", "abs(pred - target)**p"]),
        ({"key": "formula", "formula": ["pred"]}, ["a formula is ['pred']"]),
        ({"key": "formula", "formula": ""}, ["Character 1", "type a formula"]),
        ({"key": "formula", "formula": "pred.__class__"}, ["Character 5", "'.' is not part of the language"]),
        ({"key": "formula", "formula": "__import__('os').system('ls')"}, ["Character 1"]),
        ({"key": "formula", "formula": "target"}, ["pred does not appear"]),
        ({"key": "formula", "formula": "pred".ljust(MOST_CHARACTERS + 1)}, [f"at most {MOST_CHARACTERS} characters"]),
        ({"key": "formula", "formula": "-" * (MOST_DEPTH + 1) + "pred"}, [f"at most {MOST_DEPTH} deep"]),
        ({"key": "formula", "formula": "+".join(["1"] * (MOST_NODES // 2)) + "+pred"}, [f"at most {MOST_NODES} num"]),
        ({"key": "formula", "formula": "+".join(["pred", *"abcdfgh"])}, ["h would be parameter 7; allowed: 6"]),
        ({"key": "formula", "formula": "pred", "params": {"p": 1}}, ["'p'", "allowed: none"]),
        ({"key": "formula", "formula": "p*pred", "params": {"q": 1}}, ["'q'", "allowed: p"]),
        ({"key": "formula", "formula": "p*pred", "params": {"p": "1"}}, ["formula.p is '1'", "-1e+06 to 1e+06"]),
        ({"key": "formula", "formula": "p*pred", "params": {"p": True}}, ["formula.p is True"]),
        ({"key": "formula", "formula": "p*pred", "params": {"p": math.nan}}, ["formula.p is nan"]),
        ({"key": "formula", "formula": "p*pred", "params": {"p": 2 * LARGEST_VALUE}}, ["formula.p is 2000000.0"]),
        ({"key": "formula", "formula": "p*pred", "params": {"p": 10**400}}, ["formula.p is 1000"]),
        ({"key": "mse", "formula": "pred"}, ["mse comes with a formula", "'formula'"]),
    ],
)
def test_a_formula_that_is_none_is_refused(losses, words):
    with pytest.raises(ValueError) as error:
        RunSpec.parse({"losses": [losses]})
    for word in words:
        assert word in str(error.value)
    assert len(str(error.value)) < 400


def test_a_spec_survives_json():
    spec = RunSpec.parse({**GOOD, "model": "cnn", "optimizer": "adamw", "learning_rate": 0.1, "seed": 7})
    assert RunSpec.parse(json.loads(json.dumps(spec.to_json()))) == spec
    assert spec.losses[1] == LossChoice("huber", {"delta": 0.5})
    spec = RunSpec.parse({**GOOD, "schedule": "one-cycle", "weight_decay": 0.01, "clip": 2})
    assert RunSpec.parse(json.loads(json.dumps(spec.to_json()))) == spec
    assert (spec.schedule, spec.weight_decay, spec.clip) == ("one-cycle", 0.01, 2.0)


def test_the_article_s_experiment_is_the_default():
    assert RunSpec.parse({"losses": [{"key": "cross_entropy"}]}) == ARTICLE
    assert ARTICLE.total_steps == 18_750


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": "cifar"}, ["'cifar'", "mnist"]),
        ({"model": "softmx"}, ["'softmx'", "did you mean softmax"]),
        ({"optimizer": "Adam"}, ["'Adam'", "adam"]),
        ({"epoch": 3}, ["'epoch'", "did you mean epochs"]),
        ({"epochs": 0}, ["epochs is 0", "1 to 100"]),
        ({"epochs": 101}, ["101", "1 to 100"]),
        ({"epochs": True}, ["True"]),
        ({"epochs": 1.5}, ["1.5", "whole number"]),
        ({"batch_size": 4096}, ["4096", "1 to 2048"]),
        ({"batch_size": "32"}, ["'32'"]),
        ({"seed": -1}, ["-1", "0 to 4294967295"]),
        ({"schedule": "cosin"}, ["'cosin'", "did you mean cosine"]),
        ({"weight_decay": -0.1}, ["weight_decay is -0.1", "0 to 1"]),
        ({"weight_decay": True}, ["weight_decay is True"]),
        ({"clip": math.nan}, ["clip is nan", "0 to 1000"]),
        ({"clip": "1"}, ["clip is '1'"]),
        ({"seeds": 0}, ["seeds is 0", "1 to 10"]),
        ({"seeds": 11}, ["seeds is 11", "1 to 10"]),
        ({"seeds": "3"}, ["'3'", "whole number"]),
        ({"seed": 2**32 - 2, "seeds": 3}, ["seed is 4294967294", "0 to 4294967293"]),
        ({"learning_rate": 0}, ["learning_rate is 0", "above 0"]),
        ({"learning_rate": math.nan}, ["nan", "above 0"]),
        ({"learning_rate": math.inf}, ["inf", "at most 10"]),
        ({"learning_rate": 10**400}, ["at most 10"]),
        ({"record_every": 0}, ["record_every is 0"]),
        ({"evaluate_every": 10**9}, ["evaluate_every is 1000000000"]),
        ({"losses": []}, ["0 entries", "1 to 8"]),
        ({"losses": [{"key": "mse"}] * 9}, ["9 entries", "1 to 8"]),
        ({"losses": "mse"}, ["'mse'", "list"]),
        ({"losses": ["mse"]}, ["'mse'", "object"]),
        ({"losses": [{"key": 3}]}, ["key is 3"]),
        ({"losses": [{"key": "mse", "parms": {}}]}, ["'parms'", "did you mean params"]),
        ({"losses": [{"key": "mse", "params": [1]}]}, ["params of mse", "[1]"]),
        ({"losses": [{"key": "huber", "params": {"delta": math.inf}}]}, ["huber.delta is inf", "finite"]),
        ({"losses": [{"key": "huber", "params": {"delta": 10**400}}]}, ["huber.delta", "finite"]),
        ({"losses": [{"key": "huber", "params": {"delta": [1, math.nan]}}]}, ["huber.delta", "finite"]),
        ({"losses": [{"key": "huber", "params": {"delta": "x" * 99}}]}, ["huber.delta"]),
    ],
)
def test_a_bad_value_gets_a_sentence_that_names_it_and_what_is_allowed(change, words):
    with pytest.raises(ValueError) as error:
        RunSpec.parse({**GOOD, **change})
    for word in words:
        assert word in str(error.value)
    assert len(str(error.value)) < 400


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_anything_else_is_a_value_error(value):
    with pytest.raises(ValueError):
        RunSpec.parse(value)


def test_names_of_members_tell_equal_losses_apart():
    spec = RunSpec(losses=(LossChoice("mse", {}), LossChoice("mae", {}), LossChoice("mse", {})))
    assert spec.labels() == ("mse", "mae", "mse#2")


def test_members_are_all_losses_from_the_first_seed_then_from_the_next():
    spec = RunSpec.parse({**GOOD, "seed": 5, "seeds": 3})
    assert RunSpec.parse(json.loads(json.dumps(spec.to_json()))) == spec
    found = [(member.place, member.loss, member.seed, member.name) for member in spec.members()]
    assert found[:3] == [(0, "mse", 5, "mse, seed 5"), (1, "huber", 5, "huber, seed 5"), (0, "mse", 6, "mse, seed 6")]
    assert len(found) == 6 and found[-1] == (1, "huber", 7, "huber, seed 7")


def test_a_spec_from_before_there_were_seeds_has_one_and_the_same_members_as_then():
    spec = RunSpec.parse({**GOOD, "seed": 5})
    assert spec.seeds == 1
    assert [(member.loss, member.seed, member.name) for member in spec.members()] == [
        ("mse", 5, "mse"),
        ("huber", 5, "huber"),
    ]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("batch_size", [1, 32, 256, 2048])
def test_points_fall_on_steps_that_no_other_loss_moves(model, batch_size):
    alone = RunSpec(losses=(LossChoice("mse", {}),), model=model, batch_size=batch_size)
    many = RunSpec(losses=(LossChoice("mse", {}),) * 8, model=model, batch_size=batch_size)
    assert (alone.record_every, alone.evaluate_every) == (many.record_every, many.evaluate_every)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("batch_size", [1, 32, 256, 2048])
def test_by_the_table_points_come_often_enough_and_evaluation_stays_cheap(model, batch_size):
    step = pace.step_ms(model, batch_size)
    members = 8
    between = members * step * pace.record_every(model, batch_size)
    assert between <= 200 or pace.record_every(model, batch_size) == 1
    assert pace.COSTS[model].sample <= 0.05 * step * pace.evaluate_every(model, batch_size)
