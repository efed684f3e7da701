"""Level lines: where they run, around saddles, at gaps, and as one line; by hand, in the browser that draws them."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

CALL = """async ([z, levels, joined]) => {
  const known = performance.getEntriesByType("resource").map((entry) => entry.name).find((name) => name.endsWith("/plots.js"));
  const { levelLines } = await import(known.replace("plots.js", "levels.js"));
  const at = (count) => Array.from({ length: count }, (_, i) => 10 * i);
  return levelLines(z.map((row) => row.map((value) => value ?? NaN)), at(z[0].length), at(z.length), levels, joined);
}"""  # noqa: E501
ROUND = """async ([z, most]) => {
  const known = performance.getEntriesByType("resource").map((entry) => entry.name).find((name) => name.endsWith("/plots.js"));
  const { levelsOf } = await import(known.replace("plots.js", "levels.js"));
  return levelsOf(z, most);
}"""  # noqa: E501


@pytest.fixture
def page(open_page: Callable[[str], Page]) -> Page:
    page = open_page("/explore?scene=regression")
    page.wait_for_selector(".lv-curve .lv-plot[data-seq]")
    return page


def lines(page: Page, z: Any, levels: tuple[float, float, int], joined: bool = False) -> list[set[tuple[float, float]]]:
    path = page.evaluate(CALL, [z, levels, joined])
    pieces = [piece.split("L") for piece in path.split("M")[1:]]
    return [{(float(x), float(y)) for x, y in (point.split() for point in piece)} for piece in pieces]


def test_lines_run_where_the_level_is(page: Page):
    slope = [[0, 1, 2], [0, 1, 2], [0, 1, 2]]
    assert lines(page, slope, (0.5, 1, 2)) == [
        {(5, 0), (5, 10)},
        {(15, 0), (15, 10)},
        {(5, 10), (5, 20)},
        {(15, 10), (15, 20)},
    ]
    assert lines(page, slope, (0.5, 1, 2), joined=True) == [{(5, 0), (5, 10), (5, 20)}, {(15, 0), (15, 10), (15, 20)}]
    hill = [[0, 0, 0], [0, 4, 0], [0, 0, 0]]
    assert lines(page, hill, (1, 9, 1), joined=True) == [{(2.5, 10), (10, 2.5), (17.5, 10), (10, 17.5)}]


def test_the_middle_of_a_saddle_says_which_sides_belong_together(page: Page):
    assert lines(page, [[3, 0], [0, 3]], (1, 9, 1)) == [{(6.7, 0), (10, 3.3)}, {(3.3, 10), (0, 6.7)}]
    assert lines(page, [[3, 0], [0, 3]], (2, 9, 1)) == [{(10, 6.7), (6.7, 10)}, {(0, 3.3), (3.3, 0)}]


def test_a_cell_with_a_gap_has_no_line(page: Page):
    assert lines(page, [[0, 1, 2], [0, 1, None]], (0.5, 1, 2)) == [{(5, 0), (5, 10)}]


def test_levels_are_round_inside_the_range_and_not_too_many(page: Page):
    assert page.evaluate(ROUND, [[[0.3, 7.2]], 8]) == [1, 1, 7]
    assert page.evaluate(ROUND, [[[-1, 1]], 8]) == [-0.5, 0.5, 3]
    assert page.evaluate(ROUND, [[[2, 2]], 8]) == [0, 1, 0]
