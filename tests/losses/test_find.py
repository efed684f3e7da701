"""Finding losses by task and properties."""

from dataclasses import fields

import pytest

import lossviz
from lossviz.losses import TASKS
from lossviz.losses.entry import Properties


def keys(**asked: bool | None) -> list[str]:
    return [loss.key for loss in lossviz.find(**asked)]


def test_nothing_asked_finds_the_catalogue() -> None:
    assert lossviz.find() == lossviz.CATALOGUE


@pytest.mark.parametrize("task", TASKS)
def test_a_task_finds_its_losses_in_display_order(task: str) -> None:
    found = lossviz.find(task)  # pyright: ignore[reportArgumentType]
    assert found == tuple(loss for loss in lossviz.CATALOGUE if task in loss.tasks)


@pytest.mark.parametrize("name", [field.name for field in fields(Properties)])
def test_a_property_parts_the_catalogue_in_three(name: str) -> None:
    parts = [lossviz.find(**{name: value}) for value in (True, False, None)]
    assert sorted(loss.key for part in parts for loss in part) == sorted(loss.key for loss in lossviz.CATALOGUE)
    for value, part in zip((True, False, None), parts, strict=True):
        assert all(getattr(loss.properties, name).holds is value for loss in part)


def test_convex_is_either_kind() -> None:
    convex, other, unclaimed = (set(keys(convex=value)) for value in (True, False, None))
    assert convex == {*keys(convex_in_pred=True), *keys(convex_in_logits=True)}
    assert other == {*keys(convex_in_pred=False), *keys(convex_in_logits=False)} - convex
    assert unclaimed == set(keys(convex_in_pred=None)) & set(keys(convex_in_logits=None))
    assert {"mse", "cross_entropy"} <= convex and "welsch" in other


def test_task_and_properties_all_have_to_fit() -> None:
    found = lossviz.find("regression", convex=True, robust=True)
    assert {"mae", "huber"} <= {loss.key for loss in found} and "mse" not in {loss.key for loss in found}
    assert set(found) == set(lossviz.find("regression")) & set(lossviz.find(convex=True)) & set(
        lossviz.find(robust=True)
    )


def test_what_cannot_be_asked_for_is_named_with_what_is_near() -> None:
    with pytest.raises(ValueError, match="No task is called 'regresion'; nearest: regression; allowed: regression, cl"):
        lossviz.find("regresion")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="No property is called 'robbust'; nearest: robust; allowed: convex, convex_in"):
        lossviz.find(robbust=True)
    with pytest.raises(ValueError, match="robust is 'yes', allowed: True, False or None"):
        lossviz.find(robust="yes")  # pyright: ignore[reportArgumentType]
