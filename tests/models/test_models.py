import pytest
import torch
from torch import nn

from lossviz.models import NETWORKS
from lossviz.runs import MODELS


def test_every_model_of_a_spec_exists():
    assert tuple(NETWORKS) == MODELS


@pytest.mark.parametrize(("key", "count"), [("softmax", 7_850), ("mlp", 101_770), ("cnn", 5_386)])
def test_shapes_and_sizes(key, count):
    network = NETWORKS[key]
    logits = network.build(0)(torch.rand(3, 784))
    assert logits.shape == (3, 10)
    assert network.parameters() == count == sum(p.numel() for p in network.build(0).parameters())


@pytest.mark.parametrize("key", MODELS)
def test_the_seed_alone_decides_the_weights(key):
    first = NETWORKS[key].build(3).state_dict()
    torch.rand(5)
    again, other = NETWORKS[key].build(3).state_dict(), NETWORKS[key].build(4).state_dict()
    for name, weights in first.items():
        assert torch.equal(weights, again[name])
        assert not torch.equal(weights, other[name])


@pytest.mark.parametrize("key", MODELS)
def test_the_weights_fill_the_range_of_pytorch_s_default(key):
    for layer in NETWORKS[key].build(0).modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            bound = layer.weight[0].numel() ** -0.5
            assert 0.9 * bound < layer.weight.abs().max() <= bound
