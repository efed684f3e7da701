"""MGDA's step against exact fractions on every face of the hull, and against what marks the nearest point."""

from fractions import Fraction
from itertools import combinations

import pytest
import torch
from loss_samples import draw
from torch import Tensor

import lossviz

LOSS = lossviz.get("mgda")
Row = list[Fraction]


def solve(matrix: list[Row], right: Row) -> Row | None:
    """The solution by elimination; ``None`` where there is not exactly one."""
    rows = [[*row, entry] for row, entry in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next((i for i in range(k, len(rows)) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(len(rows)):
            if i != k:
                rows[i] = [a - rows[i][k] * b for a, b in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def nearest_on_faces(grads: Tensor) -> Tensor:
    """The shortest weighted mean, from the stationary point of each set of tasks; a flat set has a smaller one."""
    points = [[Fraction(entry) for entry in row] for row in grads.tolist()]
    one, zero, found = Fraction(1), Fraction(0), list[tuple[Fraction, Row]]()
    for size in range(1, len(points) + 1):
        for face in combinations(points, size):
            products = [[sum((a * b for a, b in zip(p, q, strict=True)), zero) for q in face] + [one] for p in face]
            weights = solve([*products, [one] * size + [zero]], [zero] * size + [one])
            if weights and all(weight >= 0 for weight in weights[:-1]):
                mean = [
                    sum((w * x for w, x in zip(weights, axis, strict=False)), zero) for axis in zip(*face, strict=True)
                ]
                found.append((sum((x * x for x in mean), zero), mean))
    return torch.tensor([float(x) for x in min(found)[1]], dtype=torch.float64)


def random(tasks: int, size: int, seed: int) -> Tensor:
    return torch.randn(tasks, size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def step(grads: Tensor) -> Tensor:
    combined, gradients = lossviz.value_and_grad(LOSS, {"grads": grads})
    assert gradients == {} and LOSS.outputs is not None
    outputs = LOSS.outputs(grads=grads)
    torch.testing.assert_close(outputs["combined"], combined)
    torch.testing.assert_close(outputs["weights"] @ grads, combined)
    assert (outputs["weights"] >= 0).all() and float(outputs["weights"].sum()) == pytest.approx(1.0)
    return combined


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_step_is_the_nearest_point_of_all_faces(tasks: int, size: int) -> None:
    for seed in range(8):
        grads = random(tasks, size, seed) + seed / 4
        torch.testing.assert_close(step(grads), nearest_on_faces(grads), rtol=1e-9, atol=1e-9)


def test_the_step_is_the_nearest_point_where_gradients_differ_in_size_or_hardly_at_all() -> None:
    for seed in range(8):
        wide = draw(LOSS, 4, seed, spread=6.0)["grads"]
        alike = random(1, 3, seed) + 1e-6 * random(4, 3, seed + 100)
        for grads in (wide, alike):
            want = nearest_on_faces(grads)
            torch.testing.assert_close(step(grads), want, rtol=1e-7, atol=1e-9 * float(grads.norm(dim=-1).min()))


def test_the_step_is_the_nearest_point_where_many_sets_of_tasks_tie() -> None:
    # A corner of weight 0 that leaves may not take the newcomer with it, whose weight is 0 too.
    tied = [[-1, -2, 0, -1, -2], [1, 1, 0, 2, 2], [0, 0, 0, 1, -2], [1, 0, -2, 0, 0], [2, -1, -2, 2, 0]]
    drawn = torch.randint(-2, 3, (60, 5, 3), generator=torch.Generator().manual_seed(0)).double()
    for grads in (torch.tensor(tied).double(), *drawn):
        torch.testing.assert_close(step(grads), nearest_on_faces(grads), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("tasks", "size"), [(12, 4), (12, 11), (30, 60), (8, 5000)])
def test_no_task_falls_slower_than_the_step_is_long(tasks: int, size: int) -> None:
    for seed in range(5):
        grads = random(tasks, size, seed) + 0.3
        combined = step(grads)
        slack = grads @ combined - combined @ combined
        assert float(slack.min()) > -1e-9
        used = LOSS.fn(grads=grads).abs().amax(-1) > 0
        assert float(slack[used].abs().max()) < 1e-9


@pytest.mark.parametrize(
    ("grads", "expected"),
    [
        ([[3.0, 0.0], [0.0, 4.0]], [1.92, 1.44]),
        ([[1.0, 0.0], [3.0, 1.0]], [1.0, 0.0]),
        ([[2.0, 2.0], [2.0, 2.0]], [2.0, 2.0]),
        ([[0.0, 0.0], [1.0, 5.0]], [0.0, 0.0]),
        ([[1.0, 1.0], [-2.0, -2.0], [0.0, 7.0]], [0.0, 0.0]),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 0.0]),
    ],
)
def test_steps_known_by_hand(grads: list[list[float]], expected: list[float]) -> None:
    want = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(step(torch.tensor(grads, dtype=torch.float64)), want, rtol=1e-12, atol=1e-12)


def test_float32_gradients_give_a_float32_step() -> None:
    grads = random(3, 40, 0).float()
    combined = step(grads)
    assert combined.dtype == torch.float32
    torch.testing.assert_close(combined.double(), nearest_on_faces(grads), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("tasks", "size"), [(6, 5), (10, 8), (14, 12), (20, 10)])
def test_of_many_tasks_none_is_made_worse(tasks: int, size: int) -> None:
    """What marks the nearest point: every gradient leads at least as far along the step as the step itself."""
    for seed in range(20):
        grads = random(tasks, size, seed) + 0.3
        combined = step(grads)
        assert float((grads @ combined).min()) >= float(combined @ combined) - 1e-12 * float(grads.square().sum())
