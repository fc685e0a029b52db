"""What a repository's page says of one version, and of the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.module.version import parsed_version
from tests.e2e.browser import Browser
from tests.e2e.page_visits import (
    BANNER,
    FOCUSED,
    IDLE,
    METERS,
    OPEN_ALL,
    STATUS,
    loaded,
    opened_from,
    visit,
)
from tests.support.page_samples import (
    SUBJECT,
    ordinary_modules,
    release,
    single_version,
    write_document,
    write_site,
)


def test_the_page_says_which_ignition_a_version_is_for(browser: Browser, page: str) -> None:
    works = "[...document.querySelectorAll('.works')].map(each => each.innerText)"
    rows = "[...document.querySelectorAll('.versions li')].map(each => each.innerText)"
    said, listed = visit(browser, page, OPEN_ALL, IDLE, ("evaluate", works), ("evaluate", rows))
    limited = (
        "For Ignition 8.3, from 8.3.0 up to 8.3.6. Tested on 8.3.2, 8.3.4. "
        "A gateway of any other line than 8.3 refuses it."
    )
    assert said == [
        limited,
        limited,
        "It does not say which Ignition it needs.",
        "For Ignition 8.1, from 8.1.33 on. A gateway of any other line than 8.1 refuses it.",
    ]
    assert [each.split("\n") for each in (listed[0], listed[-1])] == [
        ["1.0.0-SNAPSHOT", "Prerelease", "Ignition 8.3 up to 8.3.6", "2026-10-31", "12 MB"],
        ["4.2.1", "Ignition 8.1", "2026-10-31", "12 MB"],
    ]


def test_the_documentation_is_linked(browser: Browser, page: str) -> None:
    link = "document.querySelector('.open dl a[rel=noreferrer]')"
    (shown,) = visit(browser, f"{page}#{METERS}", ("evaluate", f"[{link}.innerText, {link}.href]"))
    assert shown == ["docs.acme.example/meters", "https://docs.acme.example/meters/"]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2028-02-04T03:02:01Z", None),  # 90 days before
        ("2028-02-04T03:02:02Z", "expires in 89 days"),
        ("2028-05-02T12:00:00Z", "expires in 1 day"),
        ("2028-05-04T00:00:00Z", "expires within a day"),
        ("2028-05-04T03:02:02Z", "expired"),
    ],
)
def test_a_certificate_that_expires_soon_is_pointed_out(
    browser: Browser, page: str, now: str, said: str | None
) -> None:
    fact = "[...document.querySelectorAll('.open dd')][1].innerText"
    banner, shown = visit(
        browser, f"{page}#{METERS}", ("evaluate", BANNER), ("evaluate", fact), now=now
    )
    assert shown == (f"2028-05-04 {said}" if said else "2028-05-04")
    assert (banner or "").partition("\n")[0] == (
        f"The signing certificate {said} (2028-05-04)." if said else ""
    )


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
    offers = (
        "[...document.querySelectorAll('.body')].map(e => e.querySelectorAll('.command').length)"
    )
    shown, offered = visit(
        browser, page, ("evaluate", badges), OPEN_ALL, IDLE, ("evaluate", offers)
    )
    parsed = {each: parsed_version(each) for each in numbers}
    assert shown == [
        "Not installable" if version is None else "Prerelease" if version.is_prerelease else ""
        for version in parsed.values()
    ]
    # To install, to download, to accept; nothing of what no gateway can install.
    assert offered == [0 if version is None else 3 for version in parsed.values()]
