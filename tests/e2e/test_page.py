"""A repository's page in a real Chromium: the list of modules, from a folder and a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.browser import Browser, PageVisit
from tests.e2e.page_visits import (
    FOCUSED,
    HEADINGS,
    IDLE,
    METERS,
    OPEN_ALL,
    STATUS,
    loaded,
    opened_from,
    visit,
)
from tests.support.page_samples import (
    NOT_STATED,
    OLD_LINE,
    SUBJECT,
    SampleModule,
    meter_releases,
    ordinary_modules,
    single_version,
    write_site,
)


@pytest.mark.parametrize("where", ["folder", "server", "sandbox"])
def test_the_page_shows_everything_wherever_it_is_opened(
    tmp_path: Path, browser: Browser, where: str
) -> None:
    write_site(tmp_path / "site", ordinary_modules())
    with opened_from(tmp_path / "site", where) as url:
        headings, text, requests = (
            *visit(
                browser, url, OPEN_ALL, IDLE,
                ("evaluate", HEADINGS),
                ("evaluate", f"document.getElementById('{METERS}').innerText"),
            ),
            browser.visit(loaded(f"{url}#{METERS}@2.7.0"))[0].requests,
        )  # fmt: skip
    assert headings == ["Batch Reports", "Energy Meters", "OPC Bridge", "Vision Gauges"]
    (shown,) = [each for each, _ in meter_releases() if each.version == "2.11.0"]
    for each in ("Version 2.11.0", shown.module_file.sha256, SUBJECT, shown.commit, shown.notes):
        assert each in text
    kind = "json" if where == "server" else "js"
    index = requests[0].partition("#")[0].removesuffix("index.html") + f"index.{kind}"
    assert requests[1] == index
    assert requests[2] == index.replace("index", f"modules/{METERS}/index")
    assert len(requests) == (4 if where == "server" else 3)  # the list, the module, the record


def test_search_works_by_the_keyboard_alone(browser: Browser, page: str) -> None:
    before, status, headings, focused, state, shown = visit(
        browser,
        page,
        ("evaluate", STATUS),
        ("press", "Tab"),  # the link to skip to the modules
        ("press", "Tab"),
        ("type", "VISION acme gmbh"),  # the name, the id, and the vendor
        ("evaluate", STATUS),
        ("evaluate", HEADINGS),
        ("press", "Enter"),
        ("evaluate", FOCUSED),
        ("press", "Enter"),
        IDLE,
        ("evaluate", "document.activeElement.getAttribute('aria-expanded')"),
        ("evaluate", "document.querySelector('article .body').innerText"),
    )
    assert before == "4 modules."
    assert status == "1 of 4 modules."
    assert headings == ["Vision Gauges"]
    assert focused == "Vision Gauges"
    assert state == "true"
    assert "Version 4.2.1" in shown
    assert "ign-deploy install com.acme.vision.gauges@4.2.1 --repository-url file:///" in shown


def test_a_search_without_a_match_says_so_and_can_be_cleared(browser: Browser, page: str) -> None:
    status, text, after, focused = visit(
        browser,
        page,
        ("press", "/"),
        ("type", "no such thing"),
        ("evaluate", STATUS),
        ("evaluate", "document.querySelector('main').innerText"),
        ("do", "document.querySelector('.nothing button').focus()"),
        ("press", "Enter"),
        ("evaluate", HEADINGS),
        ("evaluate", "document.activeElement.id"),
    )
    assert status == "0 of 4 modules."
    assert "No module matches." in text
    assert len(after) == 4
    assert focused == "_query"


def test_the_filter_shows_the_version_that_a_gateway_of_that_line_takes(
    browser: Browser, page: str
) -> None:
    numbers = "[...document.querySelectorAll('.number')].map(each => each.textContent)"
    every, status, old = visit(
        browser,
        page,
        ("evaluate", numbers),
        ("press", "/"),
        ("press", "Tab"),
        ("press", "ArrowRight"),
        ("evaluate", STATUS),
        ("evaluate", numbers),
    )
    assert every == ["1.0.0-SNAPSHOT", "2.11.0", "0.9.0", "4.2.1"]
    assert old == ["1.9.4", "4.2.1"]
    assert status == "2 of 4 modules. 1 more does not say which Ignition it needs."


def test_modules_are_sorted_by_name_vendor_or_date(tmp_path: Path, browser: Browser) -> None:
    def made(module_id: str, name: str, vendor: str, day: int) -> SampleModule:
        certificate = {"subject": vendor, "sha1": "0" * 40, "sha256": "0" * 64}
        time = f"2026-05-{day:02}T10:00:00Z"
        return single_version(
            module_id, "1.0.0", name=name, certificate=certificate, published_at=time
        )

    modules = [
        made("a.a", "Tags 10", "O=Northwind", 3),
        made("b.b", "tags 9", "O=acme,CN=x", 1),
        made("c.c", "", "C=AT", 4),
        made("d.d", "Gauges", "CN=Acme", 2),
        made("d.c", "Gauges", "CN=Acme", 2),
    ]
    ids = "[...document.querySelectorAll('article')].map(each => each.id).join(' ')"
    steps = [("evaluate", ids), ("do", "document.querySelector('#_sort').focus()")]
    for _ in range(2):
        steps += [("press", "ArrowDown"), ("evaluate", ids)]
    steps += [
        ("evaluate", "[...document.querySelectorAll('.from')].map(each => each.innerText)"),
        ("do", "location.hash = '#a.a'"),
        ("wait", "document.activeElement.textContent === 'Tags 10'"),
        IDLE,
        ("evaluate", ids),  # kept: the module was in the list
    ]
    url = write_site(tmp_path, modules).as_uri()
    by_name, by_vendor, newest, vendors, kept = visit(browser, url, *steps)
    assert by_name == "c.c d.c d.d b.b a.a"
    assert by_vendor == "b.b d.c d.d a.a c.c"
    assert newest == kept == "c.c a.a d.c d.d b.b"
    assert vendors == ["c.c", "by Northwind\na.a", "by Acme\nd.c", "by Acme\nd.d", "by acme\nb.b"]


def test_a_line_of_ignition_named_by_its_year_can_be_chosen(
    tmp_path: Path, browser: Browser
) -> None:
    new = {"required_ignition_version": "2027.1.0", "max_ignition_version": "2027"}
    modules = [
        single_version("com.acme.old", "1.0.0", **OLD_LINE),
        single_version("com.acme.new", "2.0.0", **NOT_STATED | new),
    ]
    choices, status, works = visit(
        browser,
        write_site(tmp_path, modules).as_uri(),
        ("evaluate", "document.querySelector('#_lines').innerText.split(/\\s+/)"),
        ("do", "[...document.querySelectorAll('#_lines input')].at(-1).click()"),
        ("evaluate", STATUS),
        OPEN_ALL,
        IDLE,
        ("evaluate", "document.querySelector('.works').innerText"),
    )
    assert choices == ["Any", "8.1", "8.3", "2027"]
    assert status == "1 of 2 modules."
    assert works.startswith("For Ignition 2027, from 2027.1.0 on. ")


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("folder", "there is no index.js. If this folder was copied, run ign-deploy reindex"),
        ("server", "the server answered 404."),
        ("sandbox", "there is no index.js."),
    ],
)
def test_a_missing_list_is_reported(
    tmp_path: Path, browser: Browser, where: str, said: str
) -> None:
    page = write_site(tmp_path / "site", ordinary_modules())
    page.with_name("index.js").unlink()
    page.with_name("index.json").unlink()
    ended = ("wait", "document.querySelector('#_loading').textContent.includes('could not')")
    text = "document.querySelector('main').innerText"
    with opened_from(tmp_path / "site", where) as url:
        (answer,) = browser.visit(PageVisit(url, [ended, ("evaluate", text)]))
    assert f"The list of modules could not be loaded: {said}" in answer.values[0]


def test_an_empty_page_says_so(tmp_path: Path, browser: Browser) -> None:
    page = write_site(tmp_path, []).as_uri()
    (text,) = visit(browser, page, ("evaluate", "document.querySelector('main').innerText"))
    assert "Nothing is published here yet." in text


def test_a_long_list_is_shown_in_parts_and_searched_as_a_whole(
    tmp_path: Path, browser: Browser
) -> None:
    modules = [
        single_version(f"com.acme.m{number:03}", "1.0.0", name=f"Module {number}")
        for number in range(230)
    ]
    count = "document.querySelectorAll('article').length"
    first, second, focused, status, deep = visit(
        browser,
        write_site(tmp_path, modules).as_uri(),
        ("evaluate", count),
        ("do", "document.querySelector('#_more button').click()"),
        ("evaluate", count),
        ("evaluate", FOCUSED),
        ("press", "/"),
        ("type", "m229"),
        ("evaluate", STATUS),
        ("do", "location.hash = '#com.acme.m220'"),
        ("wait", "document.activeElement.textContent === 'Module 220'"),
        IDLE,
        ("evaluate", FOCUSED),
    )
    assert (first, second, focused) == (100, 200, "Module 100")
    assert (status, deep) == ("1 of 230 modules.", "Module 220")
