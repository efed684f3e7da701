import pytest
import torch

from lossviz.training import Dataset


@pytest.fixture(scope="session")
def dataset(mnist):
    return Dataset.load(torch.device("cpu"))
