"""The explorer's script: its address is the truth, and the widgets follow it."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.losses import CATALOGUE
from lossviz.scenes import get_scene
from tests.pages.conftest import address, said, well

Visit = Callable[..., AppTest]


@pytest.mark.parametrize("name", ["home", "explore", "train", "runs"])
def test_every_page_opens(visit: Visit, name: str):
    page = visit(name)
    assert page.main.children


def test_the_router_opens_at_home(visit: Visit):
    page = visit("home")
    assert page.title[0].value == "Take hold of a loss function"


@pytest.mark.parametrize(
    ("query", "sentences"),
    [
        ({"scene": "moon"}, ["Unknown scene 'moon'; there are regression, "]),
        ({"loss": "hubr"}, ["This scene has no loss 'hubr'; it offers mse, mae, huber", "Did you mean huber?"]),
        ({"loss": "hinge"}, ["no loss 'hinge'"]),
        ({"pred": "9"}, ["Handle pred is 9; allowed: a number from -5 to 5."]),
        ({"pred": "NaN"}, ["Handle pred is nan; allowed"]),
        ({"loss": "huber", "huber__delta": "-1"}, ["huber.delta is -1, allowed: 0.01 to 100"]),
        ({"loss": "huber", "huber__delta": "[[["}, ["huber.delta is '[[[', allowed"]),
        ({"scene": "classes", "label": "11"}, ["Handle label is 11; allowed: a number from 1 to 10."]),
    ],
)
def test_a_bad_address_gets_a_sentence_and_a_page(visit: Visit, query: dict[str, str], sentences: list[str]):
    page = visit("explore", **query)
    for sentence in sentences:
        assert sentence in said(page)
    assert page.radio(key="scene").value in ("regression", "classes")


@pytest.mark.parametrize("loss", ["", ","])
def test_without_a_loss_the_page_says_what_to_do(visit: Visit, loss: str):
    page = visit("explore", loss=loss)
    if loss:
        assert "Choose at least one loss on the left." in said(page)
    page.multiselect(key="losses").set_value(["mse"]).run()
    assert address(well(page))["loss"] == "mse"
    assert "Choose at least one loss" not in said(page)


def test_choosing_losses_writes_the_address_and_keeps_the_rest(visit: Visit):
    page = visit("explore", loss="huber,mse", huber__delta="2.5", pred="1.5", present="1")
    page.multiselect(key="losses").set_value(["mae", "huber"]).run()
    assert address(well(page)) == {
        "scene": "regression",
        "loss": "mae,huber",
        "huber.delta": "2.5",
        "pred": "1.5",
        "focus": "huber",
        "present": "1",
    }
    page.multiselect(key="losses").set_value([]).run()
    assert address(well(page))["loss"] == ""


def test_choosing_a_scene_starts_it_with_its_own_losses(visit: Visit):
    page = visit("explore", loss="mse", pred="1.5")
    page.radio(key="scene").set_value("classes").run()
    assert address(well(page)) == {"scene": "classes", "loss": "cross_entropy,softmax_focal"}
    assert page.multiselect(key="losses").value == ["cross_entropy", "softmax_focal"]


def test_widgets_follow_an_address_that_changes_under_them(visit: Visit):
    """As Back does."""
    page = visit("explore", loss="mse")
    page.query_params["loss"] = "mae,huber"
    assert well(page.run()).multiselect(key="losses").value == ["mae", "huber"]
    page.query_params["scene"] = "classes"
    page.query_params["loss"] = "softmax_focal"
    assert well(page.run()).radio(key="scene").value == "classes"
    assert page.multiselect(key="losses").value == ["softmax_focal"]


@pytest.mark.parametrize("scene", ["regression", "classes"])
def test_only_losses_of_the_scene_are_offered(visit: Visit, scene: str):
    page = visit("explore", scene=scene)
    names = [loss.name for loss in get_scene(scene).losses(CATALOGUE)]
    assert page.multiselect(key="losses").options == names
    assert not {"Hinge loss", "Cosine similarity"} & set(names)


def test_the_code_of_the_loss_in_focus_is_a_program_at_the_inputs_on_screen(visit: Visit):
    page = visit("explore", loss="mse,huber", huber__delta="2.5", focus="huber", pred="1.5")
    assert [tab.label for tab in page.tabs] == ["PyTorch", "Keras", "Optax"]
    for tab, call in zip(page.tabs, ["F.huber_loss(", "keras.losses.huber(", "optax.losses.huber_loss("], strict=True):
        (code,) = tab.code
        assert call in code.value and "delta=2.5" in code.value and "([1.5]" in code.value
    names: dict[str, Any] = {}
    exec(page.tabs[0].code[0].value, names)
    assert names["loss"].item() == 0.5  # (1.5 - 0.5)^2 / 2
    assert "F.mse_loss" in visit("explore", loss="mse,huber").code[0].value


@pytest.mark.parametrize("scene", ["regression", "classes"])
def test_every_loss_of_a_scene_is_a_program(visit: Visit, scene: str):
    for loss in get_scene(scene).losses(CATALOGUE):
        page = visit("explore", scene=scene, loss=loss.key)
        for tab, code in zip(page.tabs, (loss.code.pytorch, loss.code.keras, loss.code.optax), strict=True):
            assert bool(code) == bool(tab.code) != bool(tab.info)


def test_a_library_without_the_loss_says_so(visit: Visit):
    page = visit("explore", loss="quantile")
    assert [box.value for box in page.tabs[1].info] == ["Keras does not have this loss."]


def test_outside_the_domain_there_is_no_program_but_a_sentence(visit: Visit):
    page = visit("explore", loss="msle", pred="-1")
    (said_once,) = page.info
    assert not page.code and not page.tabs and "pred at (0,) is -1, allowed: 0 or more" in said_once.value
    page = visit("explore", scene="classes", label="5")
    (said_once,) = page.info
    assert not page.code and not page.tabs and "target at (0,) is 4, allowed: 0 to 2" in said_once.value


def test_the_program_is_that_of_a_soft_label(visit: Visit):
    page = visit("explore", scene="classes", soft="0.2,0.5,0.3")
    assert "F.cross_entropy(pred, target, weight=weight)" in page.code[0].value
    assert "target = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64)" in page.code[0].value
    page = visit("explore", scene="classes", soft="0.2,0.5,0.3", loss="softmax_focal")
    assert "expected = expected + shares[index] * loss" in page.code[0].value


def test_a_typed_formula_is_a_program_and_needs_no_other_loss(visit: Visit):
    page = visit("explore", scene="formula", loss="", formula="q * abs(pred - target)", values="0.5,1,1,1,1,1")
    assert "Choose at least one loss" not in said(well(page))
    program = page.code[0].value
    assert "q = torch.tensor(0.5, dtype=pred.dtype)\nloss = q * torch.abs(pred - target)\n" in program
    page.multiselect(key="losses").set_value(["mse"]).run()
    assert address(well(page)) == {
        "scene": "formula",
        "loss": "mse",
        "formula": "q * abs(pred - target)",
        "values": "0.5,1,1,1,1,1",
    }


def test_a_formula_in_an_address_that_is_none_gets_a_sentence(visit: Visit):
    page = visit("explore", scene="formula", formula="pred.__class__")
    assert "Character 5 of the formula: '.' is not part of the language." in said(page)
    assert "torch.abs(pred - target)**p / p" in page.code[0].value
