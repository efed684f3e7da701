"""The catalogue's script: the gallery, a page for each loss, and addresses that are wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.losses import CATALOGUE, get
from lossviz.losses.entry import Properties
from lossviz.training import offered
from lossviz.ui.catalogue import FILTERS, PROPERTIES, TASKS, _entry_data, _gallery_data, _read_filter, summary
from tests.pages.conftest import said, well

Visit = Callable[..., AppTest]


def test_the_gallery_opens_without_a_loss(visit: Visit):
    page = visit("catalogue")
    assert said(page) == "" and not page.subheader


@pytest.mark.parametrize(
    "key", ["huber", "cross_entropy", "ctc", "gradient_penalty", "pcgrad", "fgsm_ce", "group_lasso"]
)
def test_a_loss_has_a_page(visit: Visit, key: str):
    page = visit("catalogue", loss=key)
    loss = get(key)
    assert page.subheader[0].value == f"{loss.name} :gray[{loss.name_zh}]"
    assert said(page).count("allowed") == 0
    code = page.code[0].value
    assert "import torch" in code and "loss" in code


def test_the_code_holds_the_inputs_and_parameters_of_the_address(visit: Visit):
    page = visit("catalogue", loss="huber", t="0.9", huber__delta="2.5")
    assert "pred = torch.tensor([4.0]" in page.code[0].value
    assert "delta=2.5" in page.code[0].value


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"loss": "hubr"}, "There is no loss 'hubr'; nearest: huber"),
        ({"loss": "huber", "t": "1.5"}, "Handle t is 1.5; allowed: a number from 0 to 1."),
        ({"loss": "huber", "t": "NaN"}, "Handle t is nan; allowed"),
        ({"loss": "huber", "huber__delta": "-1"}, "huber.delta is -1, allowed: 0.01 to 100"),
    ],
)
def test_a_bad_address_gets_a_sentence_and_a_page(visit: Visit, query: dict[str, str], sentence: str):
    assert sentence in said(visit("catalogue", **query))


def test_train_with_it_fills_the_form_once(visit: Visit):
    page = visit("train", loss="softmax_focal")
    assert [page.selectbox(key=f"loss.{place}").value for place in range(2)] == ["softmax_focal", "cross_entropy"]
    page.selectbox(key="loss.0").set_value("mse").run()
    assert well(page).selectbox(key="loss.0").value == "mse"


def test_training_with_what_cannot_be_trained_keeps_the_opening(visit: Visit):
    page = visit("train", loss="ctc")
    assert "a classifier cannot be trained on ctc; allowed: " in said(page)
    assert page.selectbox(key="loss.0").value == "cross_entropy" and "ctc" not in offered()


@pytest.mark.parametrize("loss", CATALOGUE, ids=lambda loss: loss.key)
def test_every_loss_can_be_shown(loss: Any):
    data = _entry_data(loss, loss.resolve())
    assert set(data["inputs"]) == set(loss.inputs)
    assert any(entry["moves"] for entry in data["inputs"].values())
    assert [row["name"] for row in data["properties"]] == list(Properties.__dataclass_fields__)
    assert all(row["label"] and (row["holds"] is None or row["domain"]) for row in data["properties"])
    assert len(data["precision"]["rows"]) == 3
    assert summary(loss).endswith(".")


def test_the_gallery_knows_every_loss_by_many_words():
    cards = {card["key"]: card for card in _gallery_data()["losses"]}
    assert set(cards) == {loss.key for loss in CATALOGUE}
    for words, key in [
        ("弹球", "quantile"),
        ("回归", "mse"),
        ("zhang", "trades"),
        ("arxiv:1708.02002", "softmax_focal"),
    ]:
        assert words in cards[key]["words"]
    assert cards["huber"]["claims"]["convex"] == "yes" and cards["welsch"]["claims"]["convex"] == "no"
    assert cards["cross_entropy"]["claims"]["convex"] == "yes"
    assert sum(len(TASKS[task]) == 2 for task in TASKS) == len(_gallery_data()["tasks"])


def test_filters_are_the_properties_with_convexity_once():
    assert set(PROPERTIES) == set(Properties.__dataclass_fields__)
    assert set(FILTERS) == {"convex"} | {name for name in PROPERTIES if not name.startswith("convex")}


@pytest.mark.parametrize(
    "query",
    [{}, {"q": "x" * 1000}, {"task": "cooking"}, {"smooth": "maybe"}, {"convex": "yes", "unknown": "no"}],
)
def test_an_untrusted_filter_is_cut_to_what_is_known(query: dict[str, str]):
    state = _read_filter(query)
    assert len(state["q"]) <= 80 and state["task"] == ""
    assert state["claims"] == {name: value for name, value in query.items() if name == "convex"}
