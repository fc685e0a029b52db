"""Pages of repositories of different size, and pictures of them to look at.

``python -m tests.e2e.page_pictures FOLDER`` writes pictures in each size, width and colour scheme.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path

from tests.e2e.browser import PageVisit, running_browser
from tests.e2e.page_visits import IDLE, loaded
from tests.support.page_samples import (
    NOT_STATED,
    SampleModule,
    meter_releases,
    sample_module,
    single_version,
    write_site,
)

SIZES = (1, 30, 300)
WIDTHS = (375, 1280)
NOW = "2028-03-01T00:00:00Z"
"""Two months before the samples' certificates expire."""
OPEN_FIRST = (
    ("do", "document.querySelector('article:not(.open) h2 button')?.click()"),
    IDLE,
)
_NAMES = (
    "Alarm Notifier",
    "Batch Reports",
    "Historian Export",
    "Kiosk Lock",
    "Modbus Tools",
    "OPC Bridge",
    "Recipe Manager",
    "Vision Gauges",
)
_VENDORS = ("Acme Automation GmbH", "Northwind Controls Ltd", "Example Industries", "")
_VERSIONS = ("1.0.0", "2.3.1", "0.9.0-rc1", "10.4.2", "1.0")
_IGNITION = ("8.1.33", "8.3.0", "2027.0.0", "")


def modules_of(size: int) -> list[SampleModule]:
    """Return a repository's modules: one with many versions, or many with all kinds of states."""
    if size == 1:
        return [sample_module(meter_releases())]
    return [_module(number) for number in range(size)]


def _module(number: int) -> SampleModule:
    def pick(texts: tuple[str, ...]) -> str:
        return texts[number % len(texts)]

    name = f"{pick(_NAMES)} {number // len(_NAMES)}"
    vendor = pick(_VENDORS)
    certificate = {
        "subject": f"CN=Signing,O={vendor}" if vendor else "",
        "sha1": "0f" * 20,
        "sha256": "5c" * 32,
    }
    return single_version(
        f"com.example.{name.replace(' ', '-').lower()}",
        pick(_VERSIONS),
        yanked="Loses values; see ticket 4711." if number % 11 == 3 else None,
        **NOT_STATED | {"required_ignition_version": pick(_IGNITION[number // 7 % 2 :])},
        name=name,
        certificate=certificate,
        published_at=f"2026-{1 + number % 12:02}-{1 + number % 28:02}T10:00:00Z",
    )


def _take(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch, running_browser(Path(scratch)) as browser:
        for size in SIZES:
            page = write_site(Path(scratch) / str(size), modules_of(size)).as_uri()
            ways = product(WIDTHS, (False, True))
            browser.visit(*(_picture(folder, page, size, *each) for each in ways))


def _picture(folder: Path, page: str, size: int, width: int, dark: bool) -> PageVisit:
    path = folder / f"{size}-{width}-{'dark' if dark else 'light'}.png"
    steps = [*(OPEN_FIRST if size < SIZES[-1] else ()), ("picture", str(path))]
    return loaded(page, steps, width=width, dark=dark, now=NOW)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    _take(target)
