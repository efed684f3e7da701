import pytest
import torch

from lossviz.training import Dataset


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def mnist(one_thread):
    return Dataset.load(torch.device("cpu"))
