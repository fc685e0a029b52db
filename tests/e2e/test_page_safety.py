"""Nothing in a repository's documents is executed by its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.browser import Browser, PageVisit
from tests.e2e.page_visits import IDLE, OPEN_ALL, PHONE, WIDTH, loaded, opened_from
from tests.support.page_samples import (
    FORGED,
    HOSTILE_TEXTS,
    ordinary_modules,
    write_forged_site,
    write_site,
)


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
