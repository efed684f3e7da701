"""The lines that lead to a formula's value and to a gradient give what was recorded of them."""

import pytest
from lines import numbers, recorded
from loss_samples import EVERY_LOSS

from lossviz.losses import CATALOGUE, Loss

RECORDED = recorded()


@EVERY_LOSS
def test_a_line_gives_what_it_gave(loss: Loss) -> None:
    found = numbers(loss)
    assert set(found) == set(RECORDED[loss.key]), "read the new lines beside their LaTeX, then run lines.py"
    for latex, number in found.items():
        assert number == pytest.approx(RECORDED[loss.key][latex], rel=1e-7, abs=1e-9), latex


def test_nothing_else_is_recorded() -> None:
    assert set(RECORDED) == {loss.key for loss in CATALOGUE}
