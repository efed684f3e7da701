"""Formulas as a line of plain text."""

import pytest

from lossviz.losses import CATALOGUE, Loss
from lossviz.plain import plain


@pytest.mark.parametrize(
    ("latex", "line"),
    [
        (r"r = \hat y - y", "r = ŷ − y"),
        (r"\tfrac{1}{2} r^2", "(1/2) r²"),
        (r"\delta \left(|r| - \tfrac{1}{2} \delta\right)", "δ(|r| − (1/2) δ)"),
        (r"\frac{2 I + s_n}{P + T}", "(2 I + s_n)/(P + T)"),
        (r"\frac{\partial \ell}{\partial \hat y} = -r", "∂ℓ/∂ŷ = −r"),
        (r"\alpha \frac{\partial v}{\partial b}", "α (∂v/∂b)"),
        (r"-\frac{r}{s}", "−r/s"),
        (r"\frac{\frac{a}{b}}{c}", "(a/b)/c"),
        (r"\left(\frac{a}{b}\right)^2", "(a/b)²"),
        (r"\frac{|a - b|}{m}", "|a − b|/m"),
        (r"e^{s_k} + e^{-u / 2} + e^{-m}", "e^(s_k) + e^(−u / 2) + e^−m"),
        (r"x^{-1}, y'", "x⁻¹, y′"),
        (r"\sum_{k \ne y} p_k^2", "∑_(k ≠ y) p_k²"),
        (r"\sqrt{1 + x^2} + \sqrt v", "√(1 + x²) + √v"),
        (r"\bar{x} + \tilde{z}", "x̄ + z̃"),
        (r"\ell = \begin{cases} -q & r > 0 \\ 0 & \text{else} \end{cases}", "ℓ = {−q if r > 0; 0 else}"),
        (r"s, \quad 0 \text{ at } r = 0", "s,   0 at r = 0"),
        (r"\ln \|u\| - (-3)", "ln‖u‖ − (−3)"),
    ],
)
def test_a_formula_reads_as_it_is_meant(latex: str, line: str) -> None:
    assert plain(latex) == line


@pytest.mark.parametrize("loss", CATALOGUE, ids=lambda loss: loss.key)
def test_every_formula_of_the_catalogue_is_a_line(loss: Loss) -> None:
    for latex in (*(line.latex for line in (*loss.formula, *loss.derivation)), loss.gradient):
        line = plain(latex)
        assert not set(line) & set("\\&\n"), line
        assert line.count("(") == line.count(")") and line.count("{") == line.count("}"), line


def test_what_has_no_plain_text_is_named() -> None:
    with pytest.raises(ValueError, match="menclose"):
        plain(r"\boxed{x}")
