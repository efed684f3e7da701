"""The train page's script: what the form says is what is queued."""

from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from lossviz.live.service import Service
from lossviz.runs import ARTICLE, LossChoice, Run, RunSpec, StoreError
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
    spec = RunSpec(losses=(LossChoice("huber", {"delta": 0.5}),), model="cnn", epochs=4, learning_rate=0.01, seed=3)
    run = ours.store.create(spec, "somebody else")
    page = visit("train", run=run.id)
    assert page.selectbox(key="loss.0").value == "huber"
    assert page.number_input(key="0.huber.delta").value == 0.5
    assert page.radio(key="model").value == "cnn"
    assert (page.number_input(key="epochs").value, page.number_input(key="seed").value) == (4, 3)
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
