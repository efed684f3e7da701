import itertools
import math
from dataclasses import replace

import pytest
import torch

from lossviz.runs import ARTICLE, MODELS, OPTIMIZERS, LossChoice, RunSpec
from lossviz.training import Diverged, Done, Objective, Points, Started, Tick, train

METRICS = {"train_loss", "grad_norm", "test_loss_sample", "test_accuracy_sample", "test_loss", "test_accuracy"}


def spec(*keys, **changes):
    losses = tuple(LossChoice(key, {}) for key in keys)
    return RunSpec(losses=losses, **{"batch_size": 1_000, "epochs": 1, "learning_rate": 0.01, **changes})


def series(events, member):
    """The member's points without its number, values as exact text."""
    found = [point for event in events if isinstance(event, Points) for point in event.points if point[0] == member]
    return [(step, metric, value.hex()) for _, step, metric, value in found]


def until(events, step):
    """The events before the first point beyond ``step``; the engine is stopped there."""
    return list(itertools.takewhile(lambda event: not isinstance(event, Points) or event.points[0][1] <= step, events))


def close(found, expected, tolerance):
    """Two series have the same steps and metrics, and values that differ by no more than ``tolerance``."""
    assert [point[:2] for point in found] == [point[:2] for point in expected]
    for (step, metric, ours), (_, _, theirs) in zip(found, expected, strict=True):
        assert float.fromhex(ours) == pytest.approx(float.fromhex(theirs), rel=tolerance, abs=tolerance), (step, metric)


@pytest.mark.parametrize(("model", "batch"), [("softmax", 250), ("mlp", 50), ("cnn", 4)])
def test_a_member_is_the_same_run_alone(dataset, model, batch):
    """A hundred steps in float64, every step reported; losses and seeds in one program or in several."""
    losses = ("mse", "hinge", "cross_entropy") if model == "cnn" else ("mse", "hinge", "mse", "softmax_focal")
    steps = {"model": model, "batch_size": batch, "record_every": 1, "evaluate_every": 100, "learning_rate": 0.001}
    given = spec(*losses, seed=3, seeds=2, **steps)
    together = until(train(given, dataset, torch.float64), 100)
    members = given.members()
    assert [(member.loss, member.seed) for member in members[: len(losses)]] == [(each, 3) for each in given.labels()]
    for place, member in enumerate(members):
        if place in (0, len(losses) - 1, len(losses) + 1):
            alone = spec(losses[member.place], seed=member.seed, **steps)
            expected = series(until(train(alone, dataset, torch.float64), 100), 0)
            assert len(expected) == 2 * 100 + 2
            close(series(together, place), expected, 1e-12)


@pytest.mark.parametrize("model", ["softmax", "mlp", pytest.param("cnn", marks=pytest.mark.slow)])
def test_a_whole_run_in_float32_ends_as_alone(dataset, model):
    given = spec("mae", "mse", model=model, seeds=2)
    *_, together = train(given, dataset)
    for place in (1, 2):
        member = given.members()[place]
        *_, alone = train(spec(member.loss, model=model, seed=member.seed), dataset)
        assert together.test_accuracy[place] == pytest.approx(alone.test_accuracy[0], abs=0.002)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_spec_gives_the_same_series_bit_for_bit(dataset, model):
    given = spec("mse", "hinge", "mae", model=model, seeds=2, batch_size=50, record_every=2, evaluate_every=5)
    first, second = (until(train(given, dataset), 10) for _ in range(2))
    for place in range(6):
        found = series(first, place)
        assert len(found) == 2 * 6 + 2 * 2
        assert found == series(second, place)
    assert series(first, 0) != series(first, 3)


def test_a_run_reports_every_metric(dataset):
    assert {metric for _, metric, _ in series(train(spec("mae", "mse"), dataset), 1)} == METRICS


def test_the_seed_decides_and_another_seed_differs(dataset):
    first = series(train(spec("cross_entropy", seed=5), dataset), 0)
    torch.rand(3)
    assert series(train(spec("cross_entropy", seed=5), dataset), 0) == first
    assert series(train(spec("cross_entropy", seed=6), dataset), 0) != first


def test_points_fall_on_the_steps_of_the_spec(dataset):
    given = spec("mse", batch_size=1_024, epochs=2, record_every=7, evaluate_every=25)
    found = {}
    for step, metric, _ in series(train(given, dataset), 0):
        found.setdefault(metric, []).append(step)
    assert given.steps_per_epoch == 59
    recorded = [1, *range(7, 118, 7), 118]
    assert found["train_loss"] == found["grad_norm"] == recorded
    assert found["test_loss_sample"] == found["test_accuracy_sample"] == [25, 50, 75, 100]
    assert found["test_loss"] == found["test_accuracy"] == [59, 118]


def test_the_numbers_are_those_of_a_plain_loop(dataset):
    """Two steps written out with autograd and torch.optim give the same losses, norms and accuracy."""
    given = spec("cross_entropy", batch_size=30_000, record_every=1, evaluate_every=2)
    points = {(step, metric): float.fromhex(value) for step, metric, value in series(train(given, dataset), 0)}
    from lossviz.models import NETWORKS

    network = NETWORKS["softmax"].build(0)
    adam = torch.optim.Adam(network.parameters(), lr=0.01)
    order = torch.randperm(60_000, generator=torch.Generator().manual_seed(0))
    for step, chosen in enumerate(order.split(30_000), start=1):
        loss = torch.nn.functional.cross_entropy(network(dataset.images[chosen] / 255), dataset.labels[chosen])
        adam.zero_grad()
        loss.backward()
        norm = torch.cat([p.grad.flatten() for p in network.parameters()]).norm()
        assert points[step, "train_loss"] == pytest.approx(loss.item(), rel=1e-5)
        assert points[step, "grad_norm"] == pytest.approx(norm.item(), rel=1e-4)
        adam.step()
    with torch.no_grad():
        logits = network(dataset.test_images / 255)
    right = logits.argmax(-1) == dataset.test_labels
    assert points[2, "test_accuracy"] == pytest.approx(right.double().mean().item(), abs=2e-4)
    assert points[2, "test_accuracy_sample"] == pytest.approx(right[::10].double().mean().item(), abs=2e-3)
    expected = torch.nn.functional.cross_entropy(logits, dataset.test_labels).item()
    assert points[2, "test_loss"] == pytest.approx(expected, rel=1e-5)


def test_train_loss_is_the_mean_since_the_last_point(dataset):
    each = series(train(spec("mse", record_every=1), dataset), 0)
    single = {step: float.fromhex(value) for step, metric, value in each if metric == "train_loss"}
    for step, metric, value in series(train(spec("mse", record_every=10), dataset), 0):
        if metric == "train_loss" and step > 1:
            since = range(2 if step == 10 else step - 9, step + 1)
            assert float.fromhex(value) == pytest.approx(math.fsum(single[s] for s in since) / len(since), rel=1e-6)


def test_the_first_point_comes_after_the_first_step(dataset):
    events = train(spec("mse", "mae"), dataset)
    first = next(event for event in events if isinstance(event, Points))
    assert first.points[0][:3] == (0, 1, "train_loss")
    events.close()


def test_started_and_done_frame_the_run(dataset):
    events = [event for event in train(spec("mse", "huber"), dataset) if not isinstance(event, Tick)]
    assert isinstance(events[0], Started) and isinstance(events[-1], Done)
    assert events[0].device == "CPU, 1 thread" and events[0].threads == 1 and events[0].total_steps == 60
    assert len(events[0].bridges) == 2 and "Huber" in events[0].bridges[1]
    assert events[-1].test_accuracy == tuple(
        float.fromhex([value for _, metric, value in series(events, member) if metric == "test_accuracy"][-1])
        for member in range(2)
    )
    assert 0 < events[-1].seconds < events[-1].total_seconds


def test_schedule_decay_and_clipping_reach_every_member_alike(dataset):
    plain = {"seeds": 2, "record_every": 5, "optimizer": "momentum", "learning_rate": 0.1}
    for change in ({"schedule": "one-cycle"}, {"weight_decay": 0.01}, {"clip": 0.1}):
        together = until(train(spec("mse", "hinge", **plain, **change), dataset, torch.float64), 10)
        alone = spec("hinge", **{**plain, "seeds": 1}, seed=1, **change)
        expected = series(until(train(alone, dataset, torch.float64), 10), 0)
        close(series(together, 3), expected, 1e-12)
        assert expected != series(until(train(replace(alone, **_UNCHANGED), dataset, torch.float64), 10), 0)


_UNCHANGED = {"schedule": "constant", "weight_decay": 0.0, "clip": 0.0}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_learns(dataset, name):
    rate = {"sgd": 0.5, "momentum": 0.1, "nesterov": 0.1, "adagrad": 0.05}.get(name, 0.01)
    *_, done = train(spec("cross_entropy", batch_size=256, optimizer=name, learning_rate=rate), dataset)
    assert done.test_accuracy[0] > 0.89


@pytest.mark.parametrize(("bad", "word"), [(math.nan, "not a number"), (math.inf, "infinite")])
def test_a_loss_that_is_no_number_ends_its_member_alone(dataset, monkeypatch, bad, word):
    calls = itertools.count(1)
    gradient = Objective.gradient

    def breaks(self, logits, labels):
        found = gradient(self, logits, labels)
        # The gradient of step 20 spoils the weights, so that step 21 has the first bad loss.
        return found * bad if self.loss.key == "mse" and next(calls) == 20 else found

    given = spec("mse", "mae", record_every=8, evaluate_every=22)
    unharmed = series(train(given, dataset), 1)
    monkeypatch.setattr(Objective, "gradient", breaks)
    monkeypatch.setattr(Objective, "values", _infinite_for_nan(bad))
    events = list(train(given, dataset))
    (end,) = [event for event in events if isinstance(event, Diverged)]
    assert (end.member, end.step) == (0, 21)
    assert "mse stopped at step 21" in end.message and word in end.message and "the network's logits" in end.message
    assert max(step for step, _, _ in series(events, 0)) == 16
    assert series(events, 1) == unharmed
    assert events[-1].test_accuracy[0] is None and events[-1].test_accuracy[1] > 0.5


@pytest.mark.parametrize("model", ["softmax", "cnn"])
def test_training_on_a_typed_square_is_training_on_mse(dataset, model):
    square = (LossChoice("formula", {}, "(pred - target)**2"),)
    steps = {"batch_size": 250, "model": model, "record_every": 2, "evaluate_every": 10}
    ours = until(train(replace(spec("mse", **steps), losses=square), dataset), 20)
    assert series(ours, 0) == series(until(train(spec("mse", **steps), dataset), 20), 0)
    assert ours[0].bridges == (
        "Softmax probabilities against the one-hot label, the formula summed over the 10 classes.",
    )


@pytest.mark.parametrize(
    ("formula", "words"),
    [
        # A hard 0 or 1 has no logarithm, and a root has no slope at 0.
        ("-target*log(pred) - (1 - target)*log(1 - pred)", ["infinite", "not a number"]),
        ("pred + sqrt(0 * pred)", ["not a number"]),
    ],
)
def test_a_formula_that_leaves_its_domain_is_stopped_with_a_sentence(dataset, formula, words):
    losses = (LossChoice("formula", {}, formula), LossChoice("mse", {}))
    given = replace(spec("mse", optimizer="sgd", learning_rate=10.0, batch_size=250), losses=losses)
    events = list(train(given, dataset))
    (end,) = [event for event in events if isinstance(event, Diverged)]
    assert end.message.startswith(f"{formula} stopped at step {end.step:,}: its training loss became ")
    assert any(word in end.message for word in words)
    assert events[-1].test_accuracy[0] is None and events[-1].test_accuracy[1] > 0.5


def test_one_seed_ends_and_the_others_of_its_loss_live_on_bit_for_bit(dataset, monkeypatch):
    calls = itertools.count(1)
    gradient = Objective.gradient

    def breaks(self, logits, labels):
        found = gradient(self, logits, labels)
        if self.loss.key == "mse" and next(calls) == 5:
            found[: len(found) // 2] = math.nan
        return found

    given = spec("mae", "mse", seed=4, seeds=2, record_every=2, evaluate_every=3)
    unharmed = until(train(given, dataset), 12)
    monkeypatch.setattr(Objective, "gradient", breaks)
    events = until(train(given, dataset), 12)
    (end,) = [event for event in events if isinstance(event, Diverged)]
    assert (end.member, end.step) == (1, 6) and "mse, seed 4 stopped at step 6" in end.message
    assert max(step for step, _, _ in series(events, 1)) == 4
    for place in (0, 2, 3):
        assert series(events, place) == series(unharmed, place)


def _infinite_for_nan(bad):
    values = Objective.values
    return lambda self, logits, labels: values(self, logits, labels).nan_to_num(nan=bad)


def test_a_run_whose_members_have_all_ended_ends(dataset, monkeypatch):
    monkeypatch.setattr(Objective, "values", lambda self, logits, labels: logits[:, 0] * math.nan)
    events = [event for event in train(spec("mse", "mae"), dataset) if not isinstance(event, Tick)]
    assert [type(event) for event in events] == [Started, Diverged, Diverged, Done]
    assert events[-1].test_accuracy == (None, None)


def test_one_epoch_of_the_article_s_experiment_passes_ninety_percent(dataset):
    *_, done = train(RunSpec(losses=ARTICLE.losses, epochs=1), dataset)
    assert 0.90 < done.test_accuracy[0] < 0.925


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_the_article_s_experiment_ends_between_920_and_930(dataset, seed):
    *_, done = train(RunSpec(losses=ARTICLE.losses, seed=seed), dataset)
    assert 0.920 <= done.test_accuracy[0] <= 0.930
