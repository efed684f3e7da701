"""Baseline: the article's experiment (784 to 10, Adam 1e-3, batches of 32) as one ordinarily writes it.

A ``DataLoader`` over float tensors, PyTorch's cross-entropy with autograd, PyTorch's Adam with its default settings.
"""

import time

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

from lossviz import data


def tensors(split: data.SplitName) -> tuple[torch.Tensor, torch.Tensor]:
    """Images ``(N, 784)`` as float32 from 0 to 1, and labels."""
    half = data.load(split)
    return torch.from_numpy(half.images).float() / 255, torch.from_numpy(half.labels)


def train(
    images: torch.Tensor, labels: torch.Tensor, epochs: int, batch_size: int = 32
) -> tuple[float, torch.nn.Module]:
    """Seconds of training alone, and the trained model."""
    model = torch.nn.Linear(784, 10)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    start = time.perf_counter()
    for _ in range(epochs):
        for x, y in DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True):
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start, model


def preloaded(
    images: torch.Tensor, labels: torch.Tensor, model: torch.nn.Module, epochs: int, batch_size: int
) -> float:
    """Seconds of training ``model`` without a ``DataLoader``: the batches are picked from tensors in memory."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    start = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(images))
        for i in range(0, len(images), batch_size):
            x, y = images[order[i : i + batch_size]], labels[order[i : i + batch_size]]
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return time.perf_counter() - start


def accuracy(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images that the model reads right."""
    with torch.no_grad():
        return (model(images).argmax(1) == labels).float().mean().item()
