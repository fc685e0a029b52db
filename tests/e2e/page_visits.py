"""Visits to a repository's page: where it is opened, and what its tests look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.browser import Browser, PageVisit, static_site

METERS = "com.acme.meters"
FOCUSED = "document.activeElement.textContent"
STATUS = "document.querySelector('#_status').textContent"
HEADINGS = "[...document.querySelectorAll('h2')].map(each => each.textContent)"
# The page's width, and how many elements reach beyond the window, even if cut off there.
WIDTH = """[document.documentElement.scrollWidth, [...document.querySelectorAll('body *')].filter(
    e => e.getBoundingClientRect().right >= innerWidth + 1 && !e.closest(".scroll")).length]"""
# Nothing is being loaded: neither the list, nor what is in a module that was opened.
IDLE = ("wait", "!document.querySelector('#_loading, [aria-busy]')")
SANDBOX = "sandbox allow-forms allow-modals allow-popups allow-presentation allow-scripts"
OPEN_ALL = ("do", "document.querySelectorAll('h2 button').forEach(each => each.click())")
BANNER = "document.querySelector('.banner')?.innerText ?? null"
PHONE = 360


Steps = Sequence[tuple[str, str | None]]


@contextmanager
def opened_from(folder: Path, where: str) -> Iterator[str]:
    """Yield the address of a page: in its folder, on a server, or on one that isolates it."""
    if where == "folder":
        yield (folder / "index.html").as_uri()
        return
    headers = {"Content-Security-Policy": SANDBOX} if where == "sandbox" else {}
    with static_site(folder, headers=headers) as address:
        yield address


def loaded(url: str, steps: Steps = (), **how: Any) -> PageVisit:
    """Return a visit whose steps begin once everything is loaded."""
    return PageVisit(url, [IDLE, *steps], **how)


def visit(browser: Browser, url: str, *steps: tuple[str, str | None], **how: Any) -> list[Any]:
    """Make one visit in which nothing may go wrong; return the values of its steps."""
    (answer,) = browser.visit(loaded(url, steps, **how))
    assert answer.is_clean, answer
    return answer.values
