import pytest
import torch

from lossviz import losses
from lossviz.runs import LossChoice, RunSpec
from lossviz.training import BRIDGES, objective, offered, validate

LOGITS = torch.randn(40, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3
LABELS = torch.arange(40) % 10

CASES = [LossChoice(key, {}) for key in BRIDGES] + [
    LossChoice("huber", {"delta": 0.1}),
    LossChoice("bce_with_logits", {"pos_weight": 7.0}),
    LossChoice("cross_entropy", {"ignore_index": 3}),
    LossChoice("softmax_focal", {"gamma": 0.0}),
    LossChoice("softmax_focal", {"gamma": 5.0, "alpha": [0.1 * k + 0.1 for k in range(10)]}),
    LossChoice("cosine_similarity", {"eps": 0.01}),
    LossChoice("formula", {"p": 1.5}, "abs(pred - target)**p / p"),
    LossChoice("formula", {"a": 0.7}, "where(pred < target, a, 1) * softplus(logsumexp(pred, a) - mean(target, pred))"),
]


def test_what_has_a_bridge_is_offered_in_display_order():
    assert offered() == tuple(loss.key for loss in losses.CATALOGUE if loss.key in BRIDGES)
    assert len(offered()) == len(BRIDGES) and "quantile" not in offered()


@pytest.mark.parametrize("choice", CASES, ids=LossChoice.label)
def test_the_gradient_by_the_logits_is_autograd_s(choice):
    made = objective(choice)
    logits = LOGITS.clone().requires_grad_()
    (expected,) = torch.autograd.grad(made.values(logits, LABELS).sum(), logits)
    with torch.no_grad():
        found = made.gradient(LOGITS, LABELS)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    assert found.abs().max() > 0


TYPED = [
    ("(pred - target)**2", {}),
    ("abs(pred - target)**p / p", {"p": 1.3}),
    ("-target*log(pred) - (1 - target)*log1p(-pred)", {}),
    ("exp(a * (pred - target)) - a * (pred - target) - 1", {"a": -2.0}),
    ("max(q * (target - pred), (q - 1) * (target - pred))", {"q": 0.8}),
]


@pytest.mark.parametrize(("formula", "params"), TYPED)
def test_the_gradient_of_a_formula_is_a_central_difference(formula, params):
    made = objective(LossChoice("formula", params, formula))
    logits = LOGITS / 3
    found = made.gradient(logits, LABELS)
    assert not found.requires_grad
    for k in range(10):
        step = torch.zeros(10, dtype=torch.float64)
        step[k] = 1e-5
        difference = (made.values(logits + step, LABELS) - made.values(logits - step, LABELS)) / 2e-5
        torch.testing.assert_close(found[:, k], difference, rtol=1e-6, atol=1e-8)


def test_a_formula_is_summed_over_the_classes_as_mse_is():
    made = objective(LossChoice("formula", {}, "(pred - target)**2"))
    mse = objective(LossChoice("mse", {}))
    assert torch.equal(made.values(LOGITS, LABELS), mse.values(LOGITS, LABELS))
    assert torch.equal(made.gradient(LOGITS, LABELS), mse.gradient(LOGITS, LABELS))
    assert (
        made.bridge.text == "Softmax probabilities against the one-hot label, the formula summed over the 10 classes."
    )


def test_a_formula_that_does_not_lean_on_the_prediction_moves_nothing():
    made = objective(LossChoice("formula", {}, "where(pred < target, 1, 2)"))
    assert made.gradient(LOGITS, LABELS).abs().max() == 0


def test_there_is_no_loss_of_the_catalogue_called_formula():
    assert "formula" not in {loss.key for loss in losses.CATALOGUE}


@pytest.mark.parametrize("choice", CASES, ids=LossChoice.label)
def test_one_value_an_image_and_none_feels_its_neighbours(choice):
    made = objective(choice)
    together = made.values(LOGITS, LABELS)
    assert together.shape == (40,)
    apart = torch.cat([made.values(LOGITS[n : n + 1], LABELS[n : n + 1]) for n in range(40)])
    torch.testing.assert_close(together, apart, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key", BRIDGES)
def test_sure_and_right_costs_less_than_sure_and_wrong(key):
    made = objective(LossChoice(key, {}))
    sure = torch.eye(10) * 10 - 5
    labels = torch.arange(10)
    assert (made.values(sure, labels) < made.values(sure, labels.roll(1))).all()


@pytest.mark.parametrize("key", BRIDGES)
def test_every_bridge_is_described(key):
    bridge = BRIDGES[key]
    assert bridge.text[0].isupper() and bridge.text.endswith(".") and r"\ell" in bridge.latex


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (LossChoice("hubber", {}), ["hubber", "huber"]),
        (LossChoice("quantile", {}), ["quantile", "mse"]),
        (LossChoice("huber", {"detla": 1.0}), ["detla", "delta"]),
        (LossChoice("huber", {"delta": -1.0}), ["huber.delta", "-1", "allowed"]),
        (LossChoice("huber", {"delta": "wide"}), ["huber.delta", "wide"]),
        (LossChoice("softmax_focal", {"alpha": [0.5, 0.5]}), ["alpha", "(2,)", "(10,)"]),
        (LossChoice("formula", {}, "log(pred - 1)"), ["The formula gives no number at prediction 0.1, label 1."]),
        (LossChoice("formula", {}, "1 / target * pred"), ["The formula gives inf at prediction 0.1, label 0."]),
        (LossChoice("formula", {"q": 1.0}, "p * pred"), ["formula has no parameter 'q'", "nearest: p"]),
        (LossChoice("formula", {"p": 2e6}, "p * pred"), ["formula.p is 2000000.0", "-1e+06 to 1e+06"]),
        (LossChoice("formula", {}, "pred +"), ["Character 7", "something is missing"]),
    ],
)
def test_a_loss_that_cannot_be_trained_on_gets_a_sentence(choice, words):
    with pytest.raises(ValueError) as error:
        validate(RunSpec(losses=(LossChoice("mse", {}), choice)))
    for word in words:
        assert word in str(error.value)
