"""Which members are trained together, and how a run says so."""

import pytest
import torch

from lossviz.runs import MAX_LOSSES, MAX_SEEDS, MODELS, LossChoice, RunSpec
from lossviz.training.stack import CONVOLVED_IMAGES, CONVOLVED_TOGETHER, divide, told

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def spec(losses, seeds, model="cnn", batch_size=32):
    return RunSpec(losses=(LossChoice("mse", {}),) * losses, seeds=seeds, model=model, batch_size=batch_size)


@pytest.mark.parametrize("batch_size", [1, 32, 200, 512, 2048])
@pytest.mark.parametrize("model", MODELS)
def test_every_member_is_in_one_block_and_blocks_keep_their_bounds(model, batch_size):
    for losses in range(1, MAX_LOSSES + 1):
        for seeds in range(1, MAX_SEEDS + 1):
            blocks = divide(spec(losses, seeds, model, batch_size), CPU)
            members = sorted((seed, loss) for block in blocks for seed in block.seeds for loss in block.losses)
            assert members == [(seed, loss) for seed in range(seeds) for loss in range(losses)]
            if model != "cnn":
                assert len(blocks) == 1
                continue
            for block in blocks:
                assert 1 <= len(block) <= CONVOLVED_TOGETHER
                assert len(block) == 1 or len(block) * batch_size <= CONVOLVED_IMAGES


def test_a_graphics_card_takes_all_members_together():
    assert len(divide(spec(8, 10), CUDA)) == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (spec(1, 1), ""),
        (spec(8, 3, "mlp"), "The 24 networks are trained as one program."),
        (spec(2, 2), "The 4 networks are trained as one program."),
        (spec(5, 2), "The 10 networks are trained in 4 programs of up to 3: fewer would be slower."),
        (
            spec(2, 2, batch_size=512),
            "The 4 networks are trained one after the other, step by step: together they would be slower.",
        ),
    ],
)
def test_a_sentence_says_how(given, words):
    assert told(divide(given, CPU)) == words
