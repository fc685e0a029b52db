"""A repository's page in a real Chromium, from a folder and from a server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.module.version import parsed_version
from tests.e2e.browser import Browser, PageVisit, running_browser, static_site
from tests.support.page_samples import (
    FORGED,
    HOSTILE_TEXTS,
    SUBJECT,
    meter_releases,
    ordinary_modules,
    release,
    sample_module,
    single_version,
    write_document,
    write_forged_site,
    write_site,
)

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


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for all tests; each visit has a profile of its own."""
    with running_browser(tmp_path_factory.mktemp("browser")) as browser:
        yield browser


def visit(browser: Browser, url: str, *steps: tuple[str, str | None], **how: Any) -> list[Any]:
    """Make one visit in which nothing may go wrong; return the values of its steps."""
    (answer,) = browser.visit(loaded(url, steps, **how))
    assert answer.is_clean, answer
    return answer.values


@pytest.fixture
def page(tmp_path: Path) -> str:
    """The page of ordinary modules, opened from its folder."""
    return write_site(tmp_path / "folder", ordinary_modules()).as_uri()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """The same page, served on loopback."""
    write_site(tmp_path / "site", ordinary_modules())
    with static_site(tmp_path / "site") as address:
        yield address


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
    assert headings == ["Batch Reports", "Energy Meters", "Vision Gauges", "OPC Bridge"]
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
        ("type", "VISION acme"),
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


@pytest.mark.parametrize("where", ["folder", "server", "sandbox"])
def test_hostile_documents_execute_nothing(tmp_path: Path, browser: Browser, where: str) -> None:
    write_forged_site(tmp_path / "site")
    steps = [
        OPEN_ALL,
        IDLE,
        ("evaluate", "typeof hacked"),
        ("evaluate", "document.querySelectorAll('script, iframe, img, svg').length"),
        ("evaluate", "[...document.links].every(each => /^(https?|file):/.test(each.href))"),
        ("evaluate", "[...document.querySelectorAll('article')].map(each => each.id)"),
        ("evaluate", "document.querySelector('#com\\\\.hostile .body').innerText"),
        ("evaluate", f"document.getElementById('{FORGED}').innerText"),
        ("evaluate", "[...document.querySelectorAll('a[download]')].map(each => each.href)"),
        ("evaluate", WIDTH),
    ]
    with opened_from(tmp_path / "site", where) as url:
        wide, narrow = browser.visit(loaded(url, steps), loaded(url, steps, width=PHONE))
    own = url.removesuffix("index.html")
    for answer, width in ((wide, 1280), (narrow, PHONE)):
        assert answer.is_clean, answer
        assert answer.requests
        assert all(request.startswith(own) for request in answer.requests)
        hacked, elements, links, articles, text, forged, files, scrolled = answer.values
        assert (hacked, elements, links) == ("undefined", 1, True)
        assert articles == [FORGED, "com.hostile"]
        assert "</script><script>hacked=1</script>" in text
        assert "U+202Egnp.exeU+2066 U+200BU+0000U+0007U+001B[31m U+2028 U+E0041" in text
        assert "\u202e" not in text + forged
        assert HOSTILE_TEXTS[0] in forged
        assert f"{own}modules/{FORGED}/1.0.0/a.modl" in files
        assert all(each.startswith(f"{own}modules/com.") for each in files)
        assert scrolled == [width, 0]


@pytest.mark.parametrize("where", ["folder", "sandbox"])
def test_a_script_that_is_not_a_document_is_reported(
    tmp_path: Path, browser: Browser, where: str
) -> None:
    page = write_site(tmp_path / "site", ordinary_modules())
    page.with_name("index.js").write_text("0;")
    listed = "document.querySelector('main').innerText"
    ended = ("wait", "document.querySelector('#_loading').textContent.includes('could not')")
    with opened_from(tmp_path / "site", where) as url:
        (answer,) = browser.visit(PageVisit(url, [ended, ("evaluate", listed)]))
    assert "could not be loaded: it is not a document of this page." in answer.values[0]
    assert answer.is_clean


def test_the_page_loads_no_script_but_its_documents(browser: Browser, page: str) -> None:
    add = """(path) => { try {
        const script = document.createElement('script'); script.src = path;
        document.head.append(script); } catch (refused) { return refused.name } }"""
    again = "try { trustedTypes.createPolicy('ign-deploy', {}) } catch (refused) { refused.name }"
    (answer,) = browser.visit(
        loaded(page, [("evaluate", f"({add})('modules/a/b/index.js')"), ("evaluate", again)])
    )
    assert answer.values == ["TypeError", "TypeError"]
    assert not [each for each in answer.requests if each.endswith("b/index.js")]


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
    index = page.replace("index.html", "index.js")
    assert answer.requests == [page, index, elsewhere]  # requested, but not sent


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
        IDLE,
        ("evaluate", FOCUSED),
        ("evaluate", "document.querySelectorAll('article.open .body')[1].innerText"),
    )
    assert (focused, current, next_focused) == ("Version 2.7.0", "2.7.0", "Vision Gauges")
    assert 0 <= top < 50
    assert "Version 4.2.1" in text


def test_an_unknown_deep_link_does_nothing(browser: Browser, page: str) -> None:
    fragments = ("#com.acme.none", "#%", "#_query", "#@", "#__proto__@1")
    answers = browser.visit(
        *(loaded(page + fragment, [("evaluate", STATUS)]) for fragment in fragments),
    )
    assert all(answer.is_clean and answer.values == ["4 modules."] for answer in answers)


def test_a_version_that_is_not_in_the_repository_is_said_to_be_missing(
    browser: Browser, page: str
) -> None:
    (banner,) = visit(browser, f"{page}#{METERS}@7.0.0", ("evaluate", BANNER))
    assert "Version 7.0.0 is not in this repository." in banner


def test_an_old_version_is_shown_in_full_from_a_server(browser: Browser, site: str) -> None:
    focused, banner, text = visit(
        browser,
        f"{site}#{METERS}@2.0.0",
        ("evaluate", FOCUSED),
        ("evaluate", BANNER),
        ("evaluate", "document.querySelector('article.open .body').innerText"),
    )
    assert (focused, banner) == ("Version 2.0.0", None)
    assert release(METERS, "2.0.0").module_file.sha256 in text
    assert SUBJECT in text


def test_an_old_version_is_shown_from_a_folder_without_its_record(
    browser: Browser, page: str
) -> None:
    text, record = visit(
        browser,
        f"{page}#{METERS}@2.0.0",
        ("evaluate", "document.querySelector('article.open .body').innerText"),
        ("evaluate", "document.querySelector('article.open .body a[href$=\"release.json\"]').href"),
    )
    assert "Version 2.0.0" in text
    assert release(METERS, "2.0.0").module_file.sha256 in text
    assert "could not be loaded" in text
    assert record == page.replace("index.html", f"modules/{METERS}/2.0.0/release.json")


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


@pytest.mark.parametrize("where", ["folder", "server"])
def test_all_versions_are_shown(tmp_path: Path, browser: Browser, where: str) -> None:
    write_site(tmp_path / "site", ordinary_modules())
    with opened_from(tmp_path / "site", where) as url:
        before, label, shown, note, focused = visit(
            browser,
            f"{url}#{METERS}",
            ("evaluate", "document.querySelectorAll('.versions li').length"),
            ("evaluate", f"document.getElementById('{METERS}/versions').textContent"),
            ("do", "document.querySelector('.after button').focus()"),
            ("press", "Enter"),
            ("wait", "document.querySelectorAll('.versions li').length > 12"),
            ("evaluate", "[...document.querySelectorAll('.which')].map(each => each.innerText)"),
            ("evaluate", STATUS),
            ("evaluate", FOCUSED),
        )
    # Ten, and the newest for Ignition 8.1.
    assert (before, label) == (11, "Versions (11 of 15)")
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
        (b'{"files": []}', "could not be loaded: it has no versions."),
        (b"{", "could not be loaded: "),
    ],
)
def test_an_index_that_cannot_be_read_is_reported_and_read_again(
    tmp_path: Path, browser: Browser, site: str, content: bytes | None, said: str
) -> None:
    index = tmp_path / "site" / "modules" / METERS / "index.json"
    index.unlink() if content is None else index.write_bytes(content)
    toggle = ("do", f"document.getElementById('{METERS}').querySelector('button').click()")
    steps = [
        ("evaluate", "document.querySelector('article.open .body').innerText"),
        ("evaluate", STATUS),
        ("evaluate", "document.querySelector('article.open .body a').href"),
        toggle,
        toggle,
        IDLE,
    ]
    (answer,) = browser.visit(loaded(f"{site}#{METERS}", steps))
    text, status, link = answer.values
    assert said in text
    assert status == "The versions of Energy Meters could not be loaded."
    assert link == f"{site}modules/{METERS}/index.json"
    assert answer.violations == []
    assert answer.requests.count(link) == 2


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


def test_a_missing_record_leaves_what_the_index_says(
    tmp_path: Path, browser: Browser, site: str
) -> None:
    record = tmp_path / "site" / "modules" / METERS / "2.11.0" / "release.json"
    write_document(record, {"id": "com.acme.other", "version": "2.11.0", "notes": "not its own"})
    (text,) = visit(
        browser,
        f"{site}#{METERS}",
        ("evaluate", "document.querySelector('article.open .body').innerText"),
    )
    assert "Version 2.11.0" in text
    assert "could not be loaded; they are in its record" in text
    assert "not its own" not in text


def test_the_stage_of_a_version_is_what_a_gateway_takes_it_for(browser: Browser, page: str) -> None:
    numbers = [
        "1.0.0", "1.0.0.7", "1.0.0-rc1", "dev", "1.0.0-beta2", "1.0.0-SNAPSHOT",
        "1.0.0-alpha.1", "1.0", "1.0.0-rc", "2147483648.0.0", "1.0.0-SNAPSHOT3", "1.2.3.4.5",
    ]  # fmt: skip
    folder = Path(page.removeprefix("file://")).parent
    write_site(folder, [single_version(f"a{n:02}", each) for n, each in enumerate(numbers)])
    badges = """[...document.querySelectorAll('.facts')].map(
        each => each.querySelector('.badge')?.innerText ?? '')"""
    (shown,) = visit(browser, page, ("evaluate", badges))
    parsed = {each: parsed_version(each) for each in numbers}
    assert shown == [
        "Not installable" if version is None else "Prerelease" if version.is_prerelease else ""
        for version in parsed.values()
    ]


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
    write_site(folder, [sample_module([(each, None)])])
    (folder / "modules" / each.id / each.version / each.module_file.name).write_bytes(b"the module")
    href = "document.querySelector('a.button').href"
    fetched = f"(async () => (await fetch({href})).text())()"
    with static_site(folder) as address:
        (content,) = visit(browser, address, ("evaluate", fetched))
    assert content == "the module"


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


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.long
def test_axe_finds_nothing(browser: Browser, site: str, dark: bool) -> None:
    opened = [
        OPEN_ALL,
        IDLE,
        ("do", "document.querySelector('.after button').click()"),
        ("wait", "document.querySelectorAll('.versions li').length > 15"),
        ("axe", None),
    ]
    missing = [("press", "/"), ("type", "nothing"), ("axe", None)]
    answers = browser.visit(
        *(
            loaded(site + fragment, steps, width=width, dark=dark)
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
