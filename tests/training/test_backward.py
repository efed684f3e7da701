import pytest
import torch

from lossviz.models import NETWORKS
from lossviz.runs import MODELS, OPTIMIZERS, SCHEDULES
from lossviz.training.backward import Convolutional, Dense, Weights, program
from lossviz.training.optimizers import learning_rates, optimizer

SHAPES = [(1, 1), (1, 3), (3, 1), (2, 3)]
"""Seeds and losses."""


def batch(seed, seeds=1, losses=1):
    """Images of each seed, and for each network the gradient by its logits."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(seeds, 32, 784, generator=generator, dtype=torch.float64)
    return images, torch.randn(seeds, losses, 32, 10, generator=generator, dtype=torch.float64)


def built(model, seeds, losses):
    """References, one for each network, seeds first; and the program of all of them with its weights."""
    networks = [NETWORKS[model].build(seed).double() for seed in range(seeds)]
    weights = Weights(networks, losses)
    references = [NETWORKS[model].build(seed).double() for seed in range(seeds) for _ in range(losses)]
    return references, weights, program(networks[0], weights, seeds, losses)


def of(block, member):
    """One network's part of a block, shaped as its own parameter."""
    part = block[member]
    return part.permute(0, 3, 1, 2) if part.ndim == 4 else part


@pytest.mark.parametrize(("seeds", "losses"), SHAPES)
@pytest.mark.parametrize("model", MODELS)
def test_logits_and_gradients_are_autograd_s_of_each_network_alone(model, seeds, losses):
    references, weights, way = built(model, seeds, losses)
    assert isinstance(way, Convolutional if model == "cnn" else Dense)
    for start in range(2):
        images, gradient = batch(start, seeds, losses)
        found = way.logits(images)
        assert [part.shape for part in found] == [(seeds * 32, 10)] * losses
        for member, reference in enumerate(references):
            seed, loss = divmod(member, losses)
            reference.zero_grad()
            expected = reference(images[seed])
            (expected * gradient[seed, loss]).sum().div(32).backward()
            torch.testing.assert_close(found[loss].view(seeds, 32, 10)[seed], expected.detach(), rtol=1e-10, atol=1e-10)
        way.fill([gradient[:, loss].reshape(-1, 10).clone() for loss in range(losses)])
        for member, reference in enumerate(references):
            for (_, block), parameter in zip(weights.parameters, reference.parameters(), strict=True):
                torch.testing.assert_close(of(block, member), parameter.grad, rtol=1e-10, atol=1e-12)
    norms = [torch.cat([p.grad.flatten() for p in reference.parameters()]).norm() for reference in references]
    torch.testing.assert_close(weights.norms(), torch.stack(norms), rtol=1e-10, atol=0)


@pytest.mark.parametrize("model", MODELS)
def test_what_has_no_gradient_gets_zeros(model):
    _, weights, way = built(model, 2, 2)
    images, gradient = batch(0, 2, 2)
    way.logits(images)
    way.fill([None, gradient[:, 1].reshape(-1, 10).clone()])
    norms = weights.norms().view(2, 2)
    assert (norms[:, 0] == 0).all() and (norms[:, 1] > 0).all()


@pytest.mark.parametrize(("seeds", "losses"), SHAPES)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("count", [1, 32])
def test_logits_that_were_handed_out_stay_as_they_are(model, seeds, losses, count):
    _, _, way = built(model, seeds, losses)
    images, gradient = (tensor[..., :count, :].contiguous() for tensor in batch(0, seeds, losses))
    found = way.logits(images)
    before = [part.clone() for part in found]
    way.fill([gradient[:, loss].reshape(-1, 10).clone() for loss in range(losses)])
    way.logits(images * 2)
    assert all(map(torch.equal, found, before))


@pytest.mark.parametrize("model", MODELS)
def test_all_parameters_are_views_of_the_flat_weights(model):
    references, weights, way = built(model, 2, 2)
    for member, reference in enumerate(references):
        for (block, _), parameter in zip(weights.parameters, reference.parameters(), strict=True):
            assert torch.equal(of(block, member), parameter)
    weights.values.zero_()
    assert all((logits == 0).all() for logits in way.logits(batch(0, 2)[0]))


@pytest.mark.parametrize("model", MODELS)
def test_weights_that_are_not_finite_are_found_in_their_network_alone(model):
    _, weights, _ = built(model, 2, 2)
    assert weights.finite().tolist() == [True] * 4
    weights.parameters[-1][0][2, 3] = torch.nan
    assert weights.finite().tolist() == [True, True, False, True]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_are_those_of_torch_optim(name, decay):
    (reference,), weights, way = built("softmax", 1, 1)
    settings = {"lr": 0.05, "weight_decay": decay}
    theirs = {
        "sgd": lambda p: torch.optim.SGD(p, **settings),
        "momentum": lambda p: torch.optim.SGD(p, **settings, momentum=0.9),
        "nesterov": lambda p: torch.optim.SGD(p, **settings, momentum=0.9, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, **settings),
        "adamw": lambda p: torch.optim.AdamW(p, **settings),
        "rmsprop": lambda p: torch.optim.RMSprop(p, **settings),
        "adagrad": lambda p: torch.optim.Adagrad(p, **settings),
    }[name](list(reference.parameters()))
    step = optimizer(name, weights, decay)
    for seed in range(100):
        images, gradient = batch(seed)
        theirs.zero_grad()
        reference(images[0]).backward(gradient[0, 0] / 32)
        theirs.step()
        way.logits(images)
        way.fill([gradient[0, 0]])
        step(0.05)
    for (ours, _), other in zip(weights.parameters, reference.parameters(), strict=True):
        torch.testing.assert_close(ours[0], other.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("steps", [10, 1_875, 18_751])
@pytest.mark.parametrize("name", SCHEDULES)
def test_schedules_are_those_of_torch_optim(name, steps):
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.3)
    kinds = torch.optim.lr_scheduler
    thirds = [-(-steps // 3), -(-2 * steps // 3)]
    schedule = {
        "constant": lambda: kinds.ConstantLR(sgd, factor=1.0),
        "cosine": lambda: kinds.CosineAnnealingLR(sgd, T_max=steps),
        "one-cycle": lambda: kinds.OneCycleLR(sgd, max_lr=0.3, total_steps=steps),
        "step": lambda: kinds.MultiStepLR(sgd, milestones=thirds),
    }[name]()
    rate = learning_rates(name, 0.3, steps)
    for step in range(steps):
        assert rate(step) == pytest.approx(schedule.get_last_lr()[0], rel=1e-9, abs=1e-12), step
        sgd.step()
        if step + 1 < steps:
            schedule.step()


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_run_of_a_few_steps_has_a_rate_for_each(name, steps):
    rate = learning_rates(name, 0.3, steps)
    assert all(0 < rate(step) <= 0.3 for step in range(steps))


@pytest.mark.parametrize("model", MODELS)
def test_long_gradients_are_shortened_as_torch_does_and_each_network_s_alone(model):
    references, weights, way = built(model, 2, 2)
    images, gradient = batch(0, 2, 2)
    gradient[0, 1] *= 1e-6
    way.logits(images)
    way.fill([gradient[:, loss].reshape(-1, 10).clone() for loss in range(2)])
    before = weights.norms()
    longest = before.max().item() / 3
    weights.shorten(longest)
    for member, reference in enumerate(references):
        seed, loss = divmod(member, 2)
        (reference(images[seed]) * gradient[seed, loss]).sum().div(32).backward()
        torch.nn.utils.clip_grad_norm_(reference.parameters(), longest)
        for (_, block), parameter in zip(weights.parameters, reference.parameters(), strict=True):
            torch.testing.assert_close(of(block, member), parameter.grad, rtol=1e-9, atol=1e-12)
    assert weights.norms()[1] == before[1] and weights.norms().max() == pytest.approx(longest, rel=1e-4)
