import copy

import pytest
import torch

from lossviz.models import NETWORKS
from lossviz.runs import MODELS, OPTIMIZERS
from lossviz.training.backward import Autograd, Dense, Weights, backward
from lossviz.training.optimizers import optimizer


def batch(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(32, 784, generator=generator), torch.randn(32, 10, generator=generator)


@pytest.mark.parametrize("model", MODELS)
def test_logits_and_gradient_are_autograd_s(model):
    reference = NETWORKS[model].build(0).double()
    network = copy.deepcopy(reference)
    weights = Weights(network)
    way = backward(network, weights)
    assert isinstance(way, Autograd if model == "cnn" else Dense)
    for seed in range(2):
        images, gradient = (tensor.double() for tensor in batch(seed))
        expected = reference(images)
        reference.zero_grad()
        expected.backward(gradient)
        torch.testing.assert_close(way.logits(images), expected.detach(), rtol=1e-10, atol=1e-10)
        way.fill(gradient)
        for ours, theirs in zip(network.parameters(), reference.parameters(), strict=True):
            assert ours.shape == theirs.shape
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-10)
    norm = torch.cat([p.grad.flatten() for p in reference.parameters()]).norm()
    torch.testing.assert_close(weights.gradient.norm(), norm, rtol=1e-10, atol=0)


@pytest.mark.parametrize("model", MODELS)
def test_the_network_s_parameters_are_views_of_the_flat_weights(model):
    network = NETWORKS[model].build(0)
    before = [parameter.detach().clone() for parameter in network.parameters()]
    weights = Weights(network)
    for now, was in zip(network.parameters(), before, strict=True):
        assert torch.equal(now, was)
    weights.values.zero_()
    assert all((parameter == 0).all() for parameter in network.parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_hundred_steps_are_those_of_torch_optim(name):
    reference = NETWORKS["softmax"].build(0)
    theirs = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.05),
    }[name](list(reference.parameters()))
    network = NETWORKS["softmax"].build(0)
    weights = Weights(network)
    way, step = backward(network, weights), optimizer(name, weights, 0.05)
    for seed in range(100):
        images, gradient = batch(seed)
        theirs.zero_grad()
        reference(images).backward(gradient)
        theirs.step()
        way.logits(images)
        way.fill(gradient)
        step()
    for ours, other in zip(network.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(ours, other, rtol=1e-4, atol=1e-4)
