"""A repository's page in a real Chromium, from a folder and from a server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.repositories.index import ModuleIndex, index_bytes, merge_module
from ign_deploy.repositories.page import PageModule, render_page
from tests.e2e.browser import Browser, PageVisit, running_browser, static_site
from tests.support.page_samples import (
    HOSTILE_TEXTS,
    forged_module,
    hostile_module,
    meter_releases,
    ordinary_modules,
    page_module,
    release,
)

METERS = "com.acme.meters"
FOCUSED = "document.activeElement.textContent"
STATUS = "document.querySelector('#_status').textContent"
HEADINGS = "[...document.querySelectorAll('h2')].map(each => each.textContent)"
# The page's width, and how many elements reach beyond the window, even if cut off there.
WIDTH = """[document.documentElement.scrollWidth, [...document.querySelectorAll('body *')].filter(
    e => e.getBoundingClientRect().right >= innerWidth + 1 && !e.closest(".scroll")).length]"""
BANNER = "document.querySelector('.banner')?.innerText ?? null"
PHONE = 360


def write_page(folder: Path, modules: list[PageModule], *, title: str = "Ignition modules") -> Path:
    page = folder / "index.html"
    page.write_bytes(render_page(modules, title=title))
    return page


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests; each visit has a profile of its own."""
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def visit(browser: Browser, url: str, *steps: tuple[str, str | None], **how: Any) -> list[Any]:
    """Make one visit in which nothing may go wrong; return the values of its steps."""
    (answer,) = browser.visit(PageVisit(url, steps, **how))
    assert answer.is_clean, answer
    return answer.values


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The page of ordinary modules, opened from its folder."""
    return write_page(tmp_path, ordinary_modules()).as_uri()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A repository with the meters' index and one real file, served on loopback."""
    folder = tmp_path / "site"
    index: ModuleIndex | None = merge_module(
        None,
        module_id=METERS,
        present=[each.version for each, _ in meter_releases()],
        read={each.version: each for each, _ in meter_releases()}.get,
    )
    assert index is not None
    (folder / "modules" / METERS).mkdir(parents=True)
    (folder / "modules" / METERS / "index.json").write_bytes(index_bytes(index))
    write_page(folder, ordinary_modules())
    with static_site(folder) as address:
        yield address


def test_search_works_by_the_keyboard_alone(browser: Browser, page: str) -> None:
    before, status, headings, focused, state, shown = visit(
        browser,
        page,
        ("evaluate", STATUS),
        ("press", "Tab"),  # the link to skip to the modules
        ("press", "Tab"),
        ("type", "VISION acme"),
        ("evaluate", STATUS),
        ("evaluate", HEADINGS),
        ("press", "Enter"),
        ("evaluate", FOCUSED),
        ("press", "Enter"),
        ("evaluate", "document.activeElement.getAttribute('aria-expanded')"),
        ("evaluate", "document.querySelector('article .body').innerText"),
    )
    assert before == "4 modules."
    assert status == "1 of 4 modules."
    assert headings == ["Vision Gauges"]
    assert focused == "Vision Gauges"
    assert state == "true"
    assert "Version 4.2.1" in shown
    assert "ign-deploy install com.acme.vision.gauges -v 4.2.1 --gateway " in shown


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
    assert every == ["1.0.0-SNAPSHOT", "2.11.0", "4.2.1", "0.9.0"]
    assert old == ["1.9.4", "4.2.1"]
    assert status == "2 of 4 modules. 1 more does not say which Ignition it needs."


@pytest.mark.parametrize("served", [False, True])
def test_a_hostile_module_executes_nothing(tmp_path: Path, browser: Browser, served: bool) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    modules = [forged_module(), hostile_module()]
    file = write_page(folder, modules, title="</title><script>hacked=1</script>\u202e")
    (folder / "modules" / "com.hostile").mkdir(parents=True)
    with static_site(folder) as address:
        own = address if served else folder.as_uri()
        url = address if served else file.as_uri()
        steps = [
            ("do", "document.querySelectorAll('h2 button').forEach(each => each.click())"),
            ("evaluate", "typeof hacked"),
            ("evaluate", "document.querySelectorAll('script, iframe, img, svg').length"),
            ("evaluate", "[...document.links].every(each => /^(https?|file):/.test(each.href))"),
            ("evaluate", "document.querySelectorAll('.body').length"),
            ("evaluate", "document.querySelector('#com\\\\.hostile .body').innerText"),
            ("evaluate", WIDTH),
        ]
        wide, narrow, plain = browser.visit(
            PageVisit(url, steps),
            PageVisit(url, steps, width=PHONE),
            PageVisit(url, [("evaluate", WIDTH)], width=PHONE, javascript=False),
        )
    for answer in (wide, narrow, plain):
        assert answer.is_clean, answer
        assert answer.requests
        assert all(request.startswith(own) for request in answer.requests)
    for answer, width in ((wide, 1280), (narrow, PHONE)):
        hacked, elements, links, bodies, text, scrolled = answer.values
        assert (hacked, elements, links, bodies) == ("undefined", 2, True, 2)
        assert "</script><script>hacked=1</script>" in text
        assert "U+202Egnp.exeU+2066 U+200BU+0000U+0007U+001B[31m U+2028 U+E0041" in text
        assert "\u202e" not in text
        assert scrolled == [width, 0]
    assert plain.values == [[PHONE, 0]]


def test_what_the_policy_forbids_is_counted(browser: Browser, page: str) -> None:
    """The other tests would see it if anything were executed or requested."""
    elsewhere = "https://elsewhere.invalid/x"
    insert = f"document.body.append(Object.assign(new Image(), {{src: '{elsewhere}'}}))"
    style = "document.body.setAttribute('style', 'background: url(x)')"
    markup = "try { document.body.innerHTML = '<b>'; } catch (refused) { refused.name }"
    (answer,) = browser.visit(
        PageVisit(
            page,
            [
                ("do", insert),
                ("do", style),
                ("evaluate", markup),
                ("do", "new Promise(done => setTimeout(done, 100))"),
            ],
        ),
    )
    assert set(answer.violations) == {"img-src", "style-src-attr", "require-trusted-types-for"}
    assert answer.values == ["TypeError"]
    assert answer.requests == [page, elsewhere]  # requested, but not sent


def test_a_deep_link_opens_the_version_and_another_one_the_next(
    browser: Browser, page: str
) -> None:
    focused, current, top, next_focused, text = visit(
        browser,
        f"{page}#{METERS}@2.7.0",
        ("evaluate", FOCUSED),
        ("evaluate", "document.querySelector('[aria-current]').textContent"),
        (
            "evaluate",
            f"Math.round(document.getElementById('{METERS}').getBoundingClientRect().top)",
        ),
        ("do", "location.hash = '#com.acme.vision.gauges'"),
        ("wait", "document.querySelectorAll('article.open').length === 2"),
        ("evaluate", FOCUSED),
        ("evaluate", "document.querySelectorAll('article.open .body')[1].innerText"),
    )
    assert (focused, current, next_focused) == ("Version 2.7.0", "2.7.0", "Vision Gauges")
    assert 0 <= top < 50
    assert "Version 4.2.1" in text


def test_an_unknown_deep_link_does_nothing(browser: Browser, page: str) -> None:
    fragments = ("#com.acme.none", "#%", "#_query", "#@", "#__proto__@1")
    answers = browser.visit(
        *(PageVisit(page + fragment, [("evaluate", STATUS)]) for fragment in fragments),
    )
    assert all(answer.is_clean and answer.values == ["4 modules."] for answer in answers)


def test_a_version_that_is_not_on_the_page_is_said_to_be_missing(
    browser: Browser, page: str
) -> None:
    assert (
        "Version 2.0.0 is not on this page."
        in visit(browser, f"{page}#{METERS}@2.0.0", ("evaluate", BANNER))[0]
    )


def test_a_deep_link_to_an_old_version_loads_it_from_the_server(
    browser: Browser, site: str
) -> None:
    focused, banner = visit(
        browser,
        f"{site}#{METERS}@2.0.0",
        ("wait", "document.activeElement.textContent.startsWith('2.0.0')"),
        ("evaluate", FOCUSED),
        ("evaluate", BANNER),
    )
    assert (release(METERS, "2.0.0").module_file.sha256) in focused
    assert banner is None


def test_a_yanked_version_says_why_and_what_to_use_instead(browser: Browser, page: str) -> None:
    banner, shown, commands, reason = visit(
        browser,
        f"{page}#{METERS}@2.12.0",
        ("evaluate", BANNER),
        ("evaluate", "document.querySelector('.banner').checkVisibility()"),
        ("evaluate", "document.querySelectorAll('.command').length"),
        ("evaluate", "document.querySelector('.reason').innerText"),
    )
    assert banner.split("\n\n") == [
        "Version 2.12.0 was yanked. Do not install it.",
        "Reason: Loses values; see ticket 4711.",
        "Use 2.11.0 instead (Ignition 8.3).",
    ]
    assert (shown, commands) == (True, 0)  # visible, and nothing that installs it
    assert reason == "Yanked: The certificate's key was stolen. Remove it from every gateway."


def test_all_versions_are_shown_from_the_modules_index(browser: Browser, site: str) -> None:
    before, shown, note, focused = visit(
        browser,
        f"{site}#{METERS}",
        ("evaluate", "document.querySelectorAll('.versions li').length"),
        ("do", "document.querySelector('.after button').focus()"),
        ("press", "Enter"),
        ("wait", "document.querySelectorAll('.versions li').length > 10"),
        ("evaluate", "[...document.querySelectorAll('.which')].map(each => each.innerText)"),
        ("evaluate", STATUS),
        ("evaluate", FOCUSED),
    )
    assert before == 10
    assert [text.split()[0] for text in shown] == [
        "3.0.0-rc1", *(f"2.{minor}.0" for minor in reversed(range(13))), "1.9.4",
    ]  # fmt: skip
    assert note == "All 15 versions of Energy Meters are shown."
    assert focused == "Versions"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "could not be loaded: the server answered 404."),
        (b'{"files": 7}', "could not be loaded: it is not an index of versions."),
        (b"{", "could not be loaded: "),
    ],
)
def test_an_index_that_cannot_be_read_leaves_what_is_there(
    tmp_path: Path, browser: Browser, site: str, content: bytes | None, said: str
) -> None:
    index = tmp_path / "site" / "modules" / METERS / "index.json"
    index.unlink() if content is None else index.write_bytes(content)
    steps = [
        ("do", "document.querySelector('.after button').click()"),
        ("wait", "document.querySelector('.after [role=status]').textContent.endsWith('.')"),
        ("evaluate", "document.querySelector('.after').innerText"),
        ("evaluate", "document.querySelectorAll('.versions li').length"),
    ]
    (answer,) = browser.visit(PageVisit(f"{site}#{METERS}", steps))
    assert said in answer.values[0]
    assert answer.values[1] == 10
    assert answer.violations == []


def test_a_hostile_index_executes_nothing(tmp_path: Path, browser: Browser, site: str) -> None:
    texts = list(HOSTILE_TEXTS)
    line: dict[str, object] = {
        "filename": "a.modl",
        "hashes": {"sha256": texts[0]},
        "requires-ignition": texts[1],
        "size": 1,
        "upload-time": texts[4],
        "version": "7.0.0",
        "yanked": texts[2],
    }
    broken: list[object] = [
        None,
        7,
        [],
        {"version": {}},
        {**line, "size": "1"},
        {**line, "version": "../.."},
        {**line, "version": texts[0]},
        {**line, "filename": texts[3]},
    ]
    index = tmp_path / "site" / "modules" / METERS / "index.json"
    index.write_text(json.dumps({"files": [line, *broken]}), "utf-8")
    count, hacked, links, width = visit(
        browser,
        f"{site}#{METERS}",
        ("do", "document.querySelector('.after button').click()"),
        ("wait", "document.querySelector('.versions .wide') !== null"),
        ("evaluate", "document.querySelectorAll('.versions li').length"),
        ("evaluate", "typeof hacked"),
        ("evaluate", "[...document.querySelectorAll('.versions a')].map(each => each.href)"),
        ("evaluate", WIDTH),
        width=PHONE,
    )
    assert (count, hacked, width) == (1, "undefined", [PHONE, 0])
    assert links == [f"{site}modules/{METERS}/7.0.0/a.modl"]


def test_what_is_copied_arrives_on_the_clipboard(browser: Browser, site: str) -> None:
    button, value = visit(
        browser,
        f"{site}#com.acme.vision.gauges",
        ("do", "document.querySelectorAll('article.open .command button')[1].focus()"),
        ("press", "Enter"),
        ("wait", f"{STATUS}.startsWith('Copied')"),
        ("evaluate", FOCUSED),
        ("press", "/"),
        ("press", "Control+V"),
        ("evaluate", "document.querySelector('#_query').value"),
    )
    assert value == (
        f"ign-deploy download com.acme.vision.gauges --version 4.2.1 --repository-url {site}"
    )
    assert button == "Copied"


def test_a_download_link_leads_to_the_published_file(tmp_path: Path, browser: Browser) -> None:
    each = release("com.acme.odd", "1.0.0+b_1")
    folder = tmp_path / "site"
    location = folder / "modules" / each.id / each.version
    location.mkdir(parents=True)
    (location / each.module_file.name).write_bytes(b"the module")
    write_page(folder, [page_module([(each, None)])])
    href = "document.querySelector('a.button').href"
    fetched = f"(async () => (await fetch({href})).text())()"
    plain = "document.querySelector('td a').href"
    with static_site(folder) as address:
        with_script, without = browser.visit(
            PageVisit(address, [("evaluate", fetched), ("evaluate", href)]),
            PageVisit(address, [("evaluate", plain)], javascript=False),
        )
    assert with_script.values[0] == "the module"
    assert with_script.values[1] == without.values[0]


def test_without_javascript_a_table_has_every_module_and_its_links(
    browser: Browser, page: str
) -> None:
    rows, links, tools = visit(
        browser,
        page,
        ("evaluate", "[...document.querySelectorAll('tbody tr')].map(each => each.innerText)"),
        (
            "evaluate",
            "[...document.querySelectorAll('td a')].map(a => a.getAttribute('href'))",
        ),
        ("evaluate", "document.querySelector('#_tools').checkVisibility()"),
        javascript=False,
    )
    assert [
        name in row for name, row in zip(("Batch", "Energy", "Gauges", "OPC"), rows, strict=True)
    ]
    assert "Yanked, do not install: The certificate's key was stolen." in rows[3]
    assert links[2:4] == [
        f"modules/{METERS}/2.11.0/{METERS}-2.11.0.modl",
        f"modules/{METERS}/index.json",
    ]
    assert tools is False


def test_an_empty_page_says_so(tmp_path: Path, browser: Browser) -> None:
    page = write_page(tmp_path, []).as_uri()
    text = "document.querySelector('main').innerText"
    answers = browser.visit(
        *(PageVisit(page, [("evaluate", text)], javascript=on) for on in (True, False)),
    )
    assert all(answer.is_clean for answer in answers)
    assert all("Nothing is published here yet." in answer.values[0] for answer in answers)


def test_a_long_list_is_shown_in_parts_and_searched_as_a_whole(
    tmp_path: Path, browser: Browser
) -> None:
    modules = [
        page_module([(release(f"com.acme.m{number:03}", "1.0.0", name=f"Module {number}"), None)])
        for number in range(230)
    ]
    count = "document.querySelectorAll('article').length"
    first, second, focused, status, deep = visit(
        browser,
        write_page(tmp_path, modules).as_uri(),
        ("evaluate", count),
        ("do", "document.querySelector('#_more button').click()"),
        ("evaluate", count),
        ("evaluate", FOCUSED),
        ("press", "/"),
        ("type", "m229"),
        ("evaluate", STATUS),
        ("do", "location.hash = '#com.acme.m220'"),
        ("wait", "document.activeElement.textContent === 'Module 220'"),
        ("evaluate", FOCUSED),
    )
    assert (first, second, focused) == (100, 200, "Module 100")
    assert (status, deep) == ("1 of 230 modules.", "Module 220")


def test_a_phone_needs_no_horizontal_scroll(browser: Browser, page: str) -> None:
    everything = "document.querySelectorAll('h2 button').forEach(each => each.click())"
    answers = browser.visit(
        PageVisit(
            page, [("evaluate", WIDTH), ("do", everything), ("evaluate", WIDTH)], width=PHONE
        ),
        PageVisit(page, [("evaluate", WIDTH)] * 2, width=PHONE, javascript=False),
    )
    assert [answer.values for answer in answers] == [[[PHONE, 0]] * 2] * 2


def test_nothing_moves_if_reduced_motion_is_requested(browser: Browser, page: str) -> None:
    running = "document.getAnimations().length"
    steps = [("do", "document.querySelector('h2 button').click()"), ("evaluate", running)]
    still, moving = browser.visit(PageVisit(page, steps), PageVisit(page, steps, motion=True))
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


@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_nothing(browser: Browser, site: str, dark: bool) -> None:
    opened = [
        ("do", "document.querySelectorAll('h2 button').forEach(each => each.click())"),
        ("do", "document.querySelector('.after button').click()"),
        ("wait", "document.querySelectorAll('.versions li').length > 15"),
        ("axe", None),
    ]
    missing = [("press", "/"), ("type", "nothing"), ("axe", None)]
    answers = browser.visit(
        *(
            PageVisit(site + fragment, steps, width=width, dark=dark)
            for width in (1280, PHONE)
            for fragment, steps in (
                ("", opened),
                (f"#{METERS}@2.12.0", [("axe", None)]),
                ("", missing),
            )
        ),
    )
    for answer in answers:
        (result,) = answer.values
        assert result["violations"] == []
        assert result["passes"] > 20
