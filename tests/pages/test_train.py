"""The train page's script: what the form says is what is queued."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.live.service import Service
from lossviz.losses import CATALOGUE
from lossviz.runs import ARTICLE, LossChoice, Run, RunSpec, StoreError
from lossviz.scenes.state import parse
from lossviz.ui import training
from lossviz.ui.training import trainable
from tests.pages.conftest import address, said, well

Visit = Callable[..., AppTest]


def press_train(page: AppTest) -> AppTest:
    return well(page.button(key="train").click().run())


def only_run(ours: Service) -> Run:
    (run,) = ours.store.runs()
    return run


def test_train_queues_what_the_form_says(visit: Visit, ours: Service):
    page = visit("train")
    page.radio(key="model").set_value("mlp")
    page.selectbox(key="optimizer").set_value("momentum")
    page.number_input(key="learning_rate").set_value(0.05)
    page.number_input(key="batch_size").set_value(64)
    page.number_input(key="epochs").set_value(2)
    page.number_input(key="seed").set_value(7)
    page.number_input(key="seeds").set_value(3)
    page.selectbox(key="schedule").set_value("cosine")
    page.number_input(key="weight_decay").set_value(0.01)
    page.number_input(key="clip").set_value(2.0)
    page.selectbox(key="loss.1").set_value("huber")
    well(page.run())
    page.number_input(key="1.huber.delta").set_value(0.5)
    press_train(page)
    run = only_run(ours)
    assert run.spec == RunSpec(
        losses=(LossChoice("cross_entropy", {}), LossChoice("huber", {"delta": 0.5})),
        model="mlp",
        optimizer="momentum",
        learning_rate=0.05,
        batch_size=64,
        epochs=2,
        seed=7,
        seeds=3,
        schedule="cosine",
        weight_decay=0.01,
        clip=2.0,
    )
    assert address(page) == {"run": run.id}
    assert ours.queue.waiting == 1


def test_the_articles_experiment_is_one_press_away(visit: Visit, ours: Service):
    page = visit("train")
    page.number_input(key="epochs").set_value(2).run()
    well(page.button(key="article").click().run())
    press_train(page)
    assert only_run(ours).spec == ARTICLE
    assert "0.99" in said(page) and "between 0.920 and 0.930" in said(page)


def test_losses_are_added_and_removed_with_their_parameters(visit: Visit, ours: Service):
    page = visit("train")
    well(page.button(key="add").click().run())
    page.selectbox(key="loss.2").set_value("huber")
    well(page.run())
    page.number_input(key="2.huber.delta").set_value(3.0)
    well(page.run())
    well(page.button(key="remove.0").click().run())
    press_train(page)
    assert only_run(ours).spec.losses == (LossChoice("mse", {}), LossChoice("huber", {"delta": 3.0}))


def test_eight_losses_and_no_more_and_the_last_one_stays(visit: Visit):
    page = visit("train")
    for _ in range(6):
        assert not page.button(key="add").disabled
        well(page.button(key="add").click().run())
    assert page.button(key="add").disabled
    for _ in range(7):
        assert not page.button(key="remove.0").disabled
        well(page.button(key="remove.0").click().run())
    assert page.button(key="remove.0").disabled


def test_the_same_loss_may_be_compared_with_itself(visit: Visit, ours: Service):
    page = visit("train")
    page.selectbox(key="loss.1").set_value("cross_entropy")
    well(page.run())
    press_train(page)
    assert [choice.key for choice in only_run(ours).spec.losses] == ["cross_entropy", "cross_entropy"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("learning_rate", 0.0), ("learning_rate", 11.0), ("batch_size", 0), ("batch_size", 5000), ("epochs", 101)],
)
def test_a_number_out_of_range_never_reaches_a_run(visit: Visit, ours: Service, key: str, value: float):
    """The browser keeps such a number back; from a script Streamlit takes the nearest allowed one, and shows it."""
    page = visit("train")
    page.number_input(key=key).set_value(value)
    press_train(page)
    field = page.number_input(key=key)
    assert field.value != value and field.min <= field.value <= field.max
    assert getattr(only_run(ours).spec, key) == field.value


def test_a_run_that_cannot_be_stored_gets_a_sentence(visit: Visit, ours: Service, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> Run:
        raise StoreError("there is no space left on the disk")

    page = visit("train")
    monkeypatch.setattr(ours.store, "create", full)
    page.button(key="train").click().run()
    assert "there is no space left on the disk" in said(well(page))
    assert "run" not in address(page)


def test_what_keeps_the_worker_from_training_is_shown(visit: Visit, ours: Service):
    ours.queue.problem = "MNIST is not on this machine. Run `lossviz data`."
    assert "Run `lossviz data`." in said(visit("train"))


def test_the_device_is_shown_once_it_is_known(visit: Visit, ours: Service):
    assert "The worker is warming up" in visit("train").sidebar.caption[0].value
    ours.queue.device = "CPU"
    assert visit("train").sidebar.caption[0].value == "Trains on CPU."


@pytest.mark.parametrize("run", ["nothing", "x" * 500, "../../etc/passwd", "%00"])
def test_an_unknown_run_is_said_to_be_none(visit: Visit, run: str):
    page = visit("train", run=run)
    assert "There is no such run; it may have been deleted." in said(page)


def test_a_runs_address_shows_it_and_fills_the_form_with_its_settings(visit: Visit, ours: Service):
    spec = RunSpec(
        losses=(LossChoice("huber", {"delta": 0.5}),), model="cnn", epochs=4, learning_rate=0.01, seed=3, seeds=2
    )
    run = ours.store.create(spec, "somebody else")
    page = visit("train", run=run.id)
    assert page.selectbox(key="loss.0").value == "huber"
    assert page.number_input(key="0.huber.delta").value == 0.5
    assert page.radio(key="model").value == "cnn"
    assert [page.number_input(key=key).value for key in ("epochs", "seed", "seeds")] == [4, 3, 2]
    press_train(page)
    assert [each.spec for each in ours.store.runs()] == [spec, spec]


def test_a_deleted_run_is_gone(visit: Visit, ours: Service):
    run = ours.queue.submit(ARTICLE, "nobody")
    ours.queue.stop_run(run.id)
    ours.store.delete(run.id, "nobody")
    assert "There is no such run" in said(visit("train", run=run.id))


def test_bridges_are_shown_for_every_loss(visit: Visit):
    page = visit("train")
    texts = " ".join(each.value for each in page.expander[0].markdown)
    assert "Cross-entropy (softmax)" in texts and "Mean squared error" in texts


# --- formulas, and losses that an address asks for

POWER = "abs(pred - target)**p / p"


def asked(page: AppTest) -> list[str]:
    return [page.selectbox(key=f"loss.{place}").value for place in range(len(page.session_state["losses"]))]


def test_a_formula_is_typed_into_the_form_and_trained_with(visit: Visit, ours: Service):
    page = visit("train")
    page.selectbox(key="loss.1").set_value("formula")
    well(page.run())
    assert page.text_input(key="formula.1").value == POWER
    page.text_input(key="formula.1").set_value("delta * abs(pred - target)")
    well(page.run())
    page.number_input(key="1.formula.delta").set_value(-2.5)
    texts = " ".join(each.value for each in well(page.run()).expander[0].markdown)
    assert "`delta * abs(pred - target)`, delta = -2.5: Softmax probabilities against the one-hot label" in texts
    press_train(page)
    assert only_run(ours).spec.losses == (
        LossChoice("cross_entropy", {}),
        LossChoice("formula", {"delta": -2.5}, "delta * abs(pred - target)"),
    )


def test_a_formula_that_is_none_points_at_the_character_and_is_not_queued(visit: Visit, ours: Service):
    page = visit("train")
    page.selectbox(key="loss.0").set_value("formula")
    well(page.run())
    page.text_input(key="formula.0").set_value("abs(pred - target) + where(pred^2)")
    sentence = "Character 32 of the formula: '^' is not part of the language; a power is written **."
    assert said(page.run()) == f"{sentence} | Mend the formula on the left."
    text, pointer = page.code[0].value.split("\n")
    assert text[pointer.index("^")] == "^" and len(text) < 30
    press_train(page)
    assert ours.store.runs() == [] and "run" not in address(page)
    page.text_input(key="formula.0").set_value("log(pred - 1)")
    assert "The formula gives no number at prediction 0.1, label 1." in said(page.run())
    press_train(page)
    assert ours.store.runs() == [] and "The formula gives no number at prediction 0.1, label 1." in said(page)


def test_a_formula_moves_up_with_its_text_and_parameters(visit: Visit, ours: Service):
    page = visit("train", loss="mse,formula", formula=POWER, formula__p="2.5")
    well(page.button(key="remove.0").click().run())
    press_train(page)
    assert only_run(ours).spec.losses == (LossChoice("formula", {"p": 2.5}, POWER),)


def test_an_address_asks_for_a_formula_beside_other_losses(visit: Visit, ours: Service):
    page = visit("train", loss="formula,huber,mse", formula=POWER, formula__p="1.25", huber__delta="2.5")
    assert asked(page) == ["formula", "huber", "mse"]
    # Once: what is changed afterwards stays.
    page.number_input(key="1.huber.delta").set_value(0.5)
    press_train(page)
    run = only_run(ours)
    assert run.spec.losses == (
        LossChoice("formula", {"p": 1.25}, POWER),
        LossChoice("huber", {"delta": 0.5}),
        LossChoice("mse", {}),
    )
    assert address(page) == {"run": run.id}
    again = visit("train", run=run.id)
    assert (asked(again), again.text_input(key="formula.0").value) == (["formula", "huber", "mse"], POWER)
    assert again.number_input(key="0.formula.p").value == 1.25


def test_a_single_loss_is_asked_for_beside_cross_entropy(visit: Visit):
    assert asked(visit("train", loss="formula", formula="pred")) == ["formula", "cross_entropy"]
    assert asked(visit("train", loss="cross_entropy")) == ["cross_entropy"]


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"loss": "formula"}, "a formula is None; it must be a text"),
        ({"loss": "formula", "formula": "pred.__class__"}, "Character 5 of the formula: '.' is not part"),
        ({"loss": "formula", "formula": "p" * 9999}, "Character 201 of the formula: a formula has at most 200"),
        ({"loss": "formula", "formula": "p*pred", "formula__p": "1e9"}, "formula.p is 1000000000.0; it must be"),
        ({"loss": "formula", "formula": "p*pred", "formula__p": "[[["}, "formula.p is '[[['"),
        ({"loss": "formula", "formula": "p*pred", "formula__q": "1"}, "unknown parameter of the formula 'q'"),
        ({"loss": "formula", "formula": "log(-pred)"}, "The formula gives no number at prediction 0.1, label 1."),
        ({"loss": "hubr,mse"}, "No loss is called 'hubr'; nearest: huber"),
        ({"loss": ""}, "a loss's key is ''"),
        ({"loss": ",".join(f"x{n}" for n in range(9))}, "losses has 9 entries"),
        ({"loss": "huber", "huber__delta": "-1"}, "huber.delta is -1, allowed"),
    ],
)
def test_an_address_that_asks_for_what_cannot_be_gets_a_sentence_and_the_opening(
    visit: Visit, query: dict[str, str], sentence: str
):
    page = visit("train", **query)
    assert sentence in said(page)
    assert asked(page) == ["cross_entropy", "mse"]


def test_the_form_is_as_it_was_left(visit: Visit):
    page = visit("train", loss="formula,huber", formula=POWER, formula__p="3")
    page.number_input(key="0.formula.p").set_value(4.0)
    page.number_input(key="epochs").set_value(7)
    well(page.run())
    page.query_params.clear()
    page.switch_page("runs.py")
    well(page.run())
    page.switch_page("train.py")
    well(page.run())
    assert asked(page) == ["formula", "huber"]
    assert (page.number_input(key="0.formula.p").value, page.number_input(key="epochs").value) == (4.0, 7)


def test_what_the_explorer_shows_opens_the_form(visit: Visit, ours: Service):
    shown = {"scene": "formula", "loss": "huber,quantile,mse", "huber.delta": "2.5", "formula": "q*abs(pred-target)**p"}
    state, problems = parse({**shown, "values": "0.5,3,1,1,1,1"}, CATALOGUE)
    assert not problems
    choices = trainable(state)
    assert choices == (
        LossChoice("formula", {"q": 0.5, "p": 3.0}, "q*abs(pred-target)**p"),
        LossChoice("huber", {"delta": 2.5}),
        LossChoice("mse", {}),
    )
    query = dict(parse_qsl(urlsplit(training.address(choices)).query))
    page = visit("train", **{name.replace(".", "__"): text for name, text in query.items()})
    press_train(page)
    assert only_run(ours).spec.losses == choices
