"""A drag through our socket against the same through a tuned fragment, side by side; times alone mean little in CI."""

import statistics
from pathlib import Path

from playwright.sync_api import Browser

from benchmarks.drag import FRAGMENT, Times, attribute, ours, theirs
from benchmarks.served import Served, served

RATIO = 0.6
"""Ours / theirs, medians of the pictures, at most; far less where Streamlit draws its charts anew."""
SLACK = 1.5


def test_pictures_follow_the_finger_sooner_than_a_tuned_fragment_draws_them(
    browser: Browser, site: Served, tmp_path: Path
):
    mine, others = Times(), Times()
    with served(FRAGMENT, tmp_path) as baseline:
        ours(browser, site.url, "regression", 25, mine)
        theirs(browser, baseline.url, "regression", 25, others)
    assert len(mine.pictures) > 20
    assert statistics.median(mine.pictures) <= SLACK * RATIO * statistics.median(others.pictures)


def test_an_answer_to_an_earlier_request_does_not_count():
    """By hand: two moves; the answer that comes just after the second move belongs to the first."""
    log = [
        ["move", 100.0, 99.0],
        ["sent", 101.0, 1],
        ["move", 130.0, 129.0],
        ["number", 131.0, 1, 0],
        ["sent", 132.0, 2],
        ["picture", 133.0, 1, 0],
        ["picture", 134.0, 1, 1],
        ["number", 150.0, 2, 0],
        ["picture", 155.0, 2, 0],
        ["picture", 157.0, 2, 1],
    ]
    times = Times()
    attribute(log, times)
    assert times.numbers == [32.0, 21.0]
    assert times.pictures == [35.0, 28.0]


def test_a_move_that_was_never_answered_is_left_out_and_a_skipped_picture_waits_for_the_next():
    log = [
        ["move", 100.0, 100.0],
        ["sent", 101.0, 1],
        ["number", 110.0, 1, 0],
        ["move", 112.0, 112.0],
        ["sent", 113.0, 2],
        ["number", 120.0, 2, 0],
        ["picture", 125.0, 2, 0],
        ["move", 140.0, 140.0],
    ]
    times = Times()
    attribute(log, times)
    assert times.numbers == [10.0, 8.0]
    assert times.pictures == [25.0, 13.0]
