"""Parameters from untrusted JSON, look-up, ``value_and_grad``, and what importing costs."""

import json
import math
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import torch
from loss_samples import EVERY_LOSS, draw, tensors_of

import lossviz
from lossviz.losses import Loss
from lossviz.losses.entry import Choice, Flag, Groups, Number, Param, Vector

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("param", "value", "expected"),
    [
        (Number("", 1.0, 0.01, 100.0), 0.01, 0.01),
        (Number("", 1.0, 0.01, 100.0), 100, 100.0),
        (Number("", -100, -100, 255, integer=True), 7.0, 7),
        (Number("", None, 0.0, 1.0, nullable=True), None, None),
        (Number("", 1.0, -8.0, 2.0, also=(-math.inf,)), -math.inf, -math.inf),
        (Number("", 1.0, -8.0, 2.0, also=(-math.inf,)), "-inf", -math.inf),
        (Choice("", "a", ("a", "b")), "b", "b"),
        (Flag("", False), True, True),
        (Vector("", 1.0, 0.0, 10.0), 3, 3.0),
        (Vector("", 1.0, 0.0, 10.0), [0, 10], [0.0, 10.0]),
        (Vector("", None, 0.0, 10.0, nullable=True), None, None),
        (Groups(""), None, None),
        (Groups(""), [[0, 5], [1]], [[0, 5], [1]]),
    ],
)
def test_parse_accepts(param: Param, value: object, expected: object) -> None:
    parsed = param.parse("loss.name", value)
    assert parsed == expected and type(parsed) is type(expected)
    assert param.parse("loss.name", parsed) == expected


NUMBER = Number("", 1.0, 0.01, 100.0)
VECTOR = Vector("", 1.0, 0.0, 10.0)


@pytest.mark.parametrize(
    ("param", "value", "message"),
    [
        (NUMBER, -1, "loss.name is -1, allowed: 0.01 to 100"),
        (NUMBER, 100.0001, "loss.name is 100.0001, allowed: 0.01 to 100"),
        (NUMBER, float("nan"), "loss.name is nan, allowed: 0.01 to 100"),
        (NUMBER, float("inf"), "loss.name is inf, allowed: 0.01 to 100"),
        (NUMBER, 10**400, "allowed: 0.01 to 100"),
        (NUMBER, True, "loss.name is True, allowed: 0.01 to 100"),
        (NUMBER, "1", "loss.name is '1', allowed: 0.01 to 100"),
        (NUMBER, None, "loss.name is None, allowed: 0.01 to 100"),
        (NUMBER, [1.0], "allowed: 0.01 to 100"),
        (Number("", 0, -100, 255, integer=True), 0.5, "allowed: a whole number, -100 to 255"),
        (Number("", 1.0, -8.0, 2.0, also=(-math.inf,)), math.inf, "loss.name is inf, allowed: -8 to 2, or -inf"),
        (Number("", 1.0, -8.0, 2.0, also=(-math.inf,)), "inf", "loss.name is 'inf', allowed: -8 to 2, or -inf"),
        (Number("", 1.0, 0.0, 2.0, also=(5.0,), nullable=True), 4, "allowed: 0 to 2, or 5, or null"),
        (Groups(""), [], r"loss.name is \[\], allowed: lists of whole numbers of 0 or more, or null"),
        (Groups(""), [[0], []], "allowed: lists"),
        (Groups(""), [[0], [-1]], "allowed: lists"),
        (Groups(""), [[0, True]], "allowed: lists"),
        (Groups(""), [0, 1], "allowed: lists"),
        (Groups(""), "01", "allowed: lists"),
        (Choice("", "a", ("a", "b")), "c", "loss.name is 'c', allowed: a, b"),
        (Choice("", "a", ("a", "b")), 1, "loss.name is 1, allowed: a, b"),
        (Flag("", False), 1, "loss.name is 1, allowed: true or false"),
        (VECTOR, None, "loss.name is None, allowed: 0 to 10, or a list of such numbers"),
        (VECTOR, [], r"loss.name is \[\], allowed: 0 to 10"),
        (VECTOR, [1, float("nan")], "allowed: 0 to 10"),
        (VECTOR, [1, True], "allowed: 0 to 10"),
        (VECTOR, [1, 11], "allowed: 0 to 10"),
        (VECTOR, {"a": 1}, "allowed: 0 to 10"),
        (VECTOR, "12", "allowed: 0 to 10"),
    ],
)
def test_parse_rejects(param: Param, value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        param.parse("loss.name", value)


def test_the_error_stays_short_when_the_value_is_long() -> None:
    with pytest.raises(ValueError) as error:
        NUMBER.parse("loss.name", "9" * 1_000_000)
    assert len(str(error.value)) < 200


def test_resolve_fills_defaults_and_names_what_is_wrong() -> None:
    huber = lossviz.get("huber")
    assert huber.resolve() == huber.resolve({}) == {"delta": 1.0}
    assert huber.resolve({"delta": 2}) == {"delta": 2.0}
    with pytest.raises(ValueError, match=r"huber\.delta is -1, allowed: 0\.01 to 100"):
        huber.resolve({"delta": -1})
    with pytest.raises(ValueError, match="huber has no parameter 'dleta'; nearest: delta"):
        huber.resolve({"dleta": 1.0})
    with pytest.raises(ValueError, match="mse has no parameter 'delta'; it has none"):
        lossviz.get("mse").resolve({"delta": 1.0})


def test_resolved_parameters_survive_json() -> None:
    for loss in lossviz.CATALOGUE:
        assert loss.resolve(json.loads(json.dumps(loss.resolve()))) == loss.resolve()


def test_get_lists_the_nearest_keys() -> None:
    assert lossviz.get("huber").key == "huber"
    with pytest.raises(KeyError, match="No loss is called 'hubr'; nearest: huber"):
        lossviz.get("hubr")
    with pytest.raises(KeyError, match="nearest: mse, mae, huber"):
        lossviz.get("zzz")


def test_value_and_grad_of_one_known_case() -> None:
    pred, target = torch.tensor([0.5, 5.0]), torch.tensor([0.0, 0.0])
    value, gradients = lossviz.value_and_grad("huber", {"pred": pred, "target": target}, {"delta": 2.0})
    assert float(value) == pytest.approx((0.125 + 8.0) / 2)
    torch.testing.assert_close(gradients, {"pred": torch.tensor([0.25, 1.0])})
    assert not value.requires_grad and not pred.requires_grad


def test_value_and_grad_works_on_tensors_made_in_inference_mode() -> None:
    with torch.inference_mode():
        inputs = {"pred": torch.tensor([3.0]), "target": torch.tensor([1.0])}
        _, gradients = lossviz.value_and_grad("mse", inputs)
    assert float(gradients["pred"]) == 4.0


@EVERY_LOSS
def test_value_and_grad_leaves_the_inputs_alone(loss: Loss) -> None:
    inputs = draw(loss, 5)
    before = {name: tensor.clone() for name, tensor in tensors_of(inputs).items()}
    value, gradients = lossviz.value_and_grad(loss, inputs)
    taken = {tensor.data_ptr() for tensor in tensors_of(inputs).values()}
    assert not {tensor.data_ptr() for tensor in (value, *gradients.values())} & taken
    for name, tensor in before.items():
        assert tensor.equal(inputs[name]) and not inputs[name].requires_grad


def test_what_a_network_writes_into_its_input_does_not_reach_the_caller() -> None:
    inputs = draw(lossviz.get("vat"), 5)
    before, network = inputs["x"].clone(), inputs["model"]
    lossviz.value_and_grad("vat", inputs | {"model": lambda x: network(x.relu_())})
    assert before.equal(inputs["x"]) and (before < 0).any()


def test_a_network_that_is_a_module_gets_gradients_by_its_weights() -> None:
    torch.manual_seed(0)
    network = torch.nn.Linear(2, 3)
    network.bias.requires_grad_(False)
    inputs = {"model": network, "x": torch.rand(4, 2), "target": torch.tensor([0, 1, 2, 0])}
    value, gradients = lossviz.value_and_grad("fgsm_ce", inputs)
    assert set(gradients) == {"model.weight"} and not value.requires_grad
    step = torch.zeros(3, 2)
    step[1, 0] = 1e-2
    with torch.no_grad():
        network.weight += step
        ahead, _ = lossviz.value_and_grad("fgsm_ce", inputs)
        network.weight -= 2 * step
        behind, _ = lossviz.value_and_grad("fgsm_ce", inputs)
        network.weight += step
    assert float(gradients["model.weight"][1, 0]) == pytest.approx(float(ahead - behind) / 2e-2, rel=1e-2)
    assert network.weight.grad is None
    plain, none = lossviz.value_and_grad("fgsm_ce", inputs | {"model": network.forward})
    assert plain == value and none == {}


def test_a_transform_gives_the_combined_gradient() -> None:
    against = torch.tensor([[1.0, 0.0], [-1.0, 1.0]])
    combined, gradients = lossviz.value_and_grad("pcgrad", {"grads": against})
    torch.testing.assert_close(combined, torch.tensor([0.5, 1.5]))
    assert gradients == {}


def test_value_and_grad_names_inputs_that_do_not_fit() -> None:
    one = torch.ones(1)
    with pytest.raises(ValueError, match=r"mse got the inputs \['pred'\], allowed: \['pred', 'target'\]"):
        lossviz.value_and_grad("mse", {"pred": one})
    with pytest.raises(ValueError, match="weight"):
        lossviz.value_and_grad("mse", {"pred": one, "target": one, "weight": one})
    with pytest.raises(TypeError, match=r"mse\.pred is a list, allowed: a torch\.Tensor"):
        lossviz.value_and_grad("mse", {"pred": [1.0], "target": one})  # pyright: ignore[reportArgumentType]


def run_fresh(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_importing_the_package_imports_nothing_heavy() -> None:
    loaded = run_fresh("import sys, lossviz; print(*sys.modules)").split()
    assert not {"torch", "numpy", "pandas", "streamlit", "plotly"} & set(loaded)


def test_losses_import_only_torch() -> None:
    # What torch imports of its own accord is not ours: only what comes on top counts.
    code = "import sys, torch; before = set(sys.modules); import lossviz.losses; print(*set(sys.modules) - before)"
    added = {name.partition(".")[0] for name in run_fresh(code).split()}
    assert added <= {"lossviz", "torch"} | set(sys.stdlib_module_names), added


def test_the_package_offers_what_it_lists() -> None:
    for name in lossviz.__all__:
        assert getattr(lossviz, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        lossviz.nothing  # noqa: B018
    assert lossviz.__version__ == tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
