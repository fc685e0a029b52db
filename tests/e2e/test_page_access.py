"""A repository's page for all readers: small windows, print, no JavaScript, screen readers."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.browser import Browser, PageVisit
from tests.e2e.page_pictures import NOW, OPEN_FIRST, SIZES, WIDTHS, modules_of
from tests.e2e.page_visits import IDLE, METERS, OPEN_ALL, PHONE, WIDTH, loaded, visit
from tests.support.page_samples import write_site


def test_without_javascript_the_page_leads_to_the_list(browser: Browser, page: str) -> None:
    (answer,) = browser.visit(
        PageVisit(
            page,
            [
                ("evaluate", "document.querySelector('main').innerText"),
                ("evaluate", "document.querySelector('main a').getAttribute('href')"),
                ("evaluate", "document.querySelector('#_tools').checkVisibility()"),
            ],
            javascript=False,
        )
    )
    assert answer.is_clean
    text, link, tools = answer.values
    assert "This page needs JavaScript." in text
    assert (link, tools) == ("index.json", False)


def test_a_phone_needs_no_horizontal_scroll(browser: Browser, page: str) -> None:
    steps = [("evaluate", WIDTH), OPEN_ALL, IDLE, ("evaluate", WIDTH)]
    answers = browser.visit(
        loaded(page, steps, width=PHONE),
        PageVisit(page, [("evaluate", WIDTH)] * 2, width=PHONE, javascript=False),
    )
    assert [answer.values for answer in answers] == [[[PHONE, 0]] * 2] * 2


def test_nothing_moves_if_reduced_motion_is_requested(browser: Browser, page: str) -> None:
    running = "document.getAnimations().length"
    steps = [("do", "document.querySelector('h2 button').click()"), ("evaluate", running)]
    still, moving = browser.visit(loaded(page, steps), loaded(page, steps, motion=True))
    assert (still.values, moving.values) == ([0], [1])


def test_what_is_for_the_screen_alone_is_not_printed(browser: Browser, page: str) -> None:
    seen = """['#_tools', '.copy', 'footer', '.banner', 'dl', '.notes'].map(
        name => document.querySelector(name).checkVisibility())"""
    before, printed, width = visit(
        browser,
        f"{page}#{METERS}@2.12.0",
        ("evaluate", seen),
        ("media", "print"),
        ("evaluate", seen),
        ("evaluate", WIDTH),
        width=700,  # of A4
        dark=True,
    )
    assert before == [True] * 6
    assert printed == [False, False, False, True, True, True]
    assert width == [700, 0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.long
def test_axe_finds_nothing(tmp_path: Path, browser: Browser, size: int) -> None:
    page = write_site(tmp_path, modules_of(size)).as_uri()
    steps = [*OPEN_FIRST, ("axe", None), ("evaluate", WIDTH)]
    visits = {
        (width, dark): loaded(page, steps, width=width, dark=dark, now=NOW)
        for width in WIDTHS
        for dark in (False, True)
    }
    for (width, _), answer in zip(visits, browser.visit(*visits.values()), strict=True):
        result, reached = answer.values
        assert result["violations"] == []
        assert result["passes"] > 20
        assert reached == [width, 0]


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.long
def test_axe_finds_nothing_in_any_state(browser: Browser, page: str, dark: bool) -> None:
    every = [
        OPEN_ALL,
        IDLE,
        ("do", "document.querySelector('.after button').click()"),
        ("wait", "document.querySelectorAll('.versions li').length > 15"),
        ("axe", None),
    ]
    invalid = [
        ("do", "document.querySelector('.gateway input').focus()"),
        ("type", "x"),
        ("axe", None),
    ]
    missing = [("press", "/"), ("type", "nothing"), ("axe", None)]
    answers = browser.visit(
        loaded(page, every, width=PHONE, dark=dark),
        loaded(f"{page}#{METERS}@2.12.0", [("axe", None)], dark=dark),
        loaded(f"{page}#{METERS}", invalid, dark=dark),
        loaded(page, missing, dark=dark),
    )
    for answer in answers:
        (result,) = answer.values
        assert result["violations"] == []
        assert result["passes"] > 20
