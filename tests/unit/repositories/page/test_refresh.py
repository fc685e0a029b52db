from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.repositories.page import (
    PageModule,
    merge,
    no_versions,
    read_page,
    render_page,
)
from ign_deploy.repositories.page.refresh import MAX_PAGE_SIZE
from tests.support.page_samples import (
    HOSTILE_TEXTS,
    forged_module,
    hostile_module,
    ordinary_modules,
    page_module,
    release,
)

PAGE = render_page(ordinary_modules())
TEXTS = st.text() | st.sampled_from(HOSTILE_TEXTS)


def page_with(changes: dict[str, Any], *, version: bool = False) -> bytes:
    """Return a page whose first module, or its first version, has other fields."""
    module: Any = copy.deepcopy(ordinary_modules()[0])
    (module["versions"][0] if version else module).update(changes)
    return render_page([module])


@pytest.mark.parametrize("modules", [[], ordinary_modules(), [hostile_module()]], ids=len)
def test_a_page_is_read_as_it_was_written(modules: list[PageModule]) -> None:
    assert read_page(render_page(modules, title="</script>")) == modules


@given(name=TEXTS, notes=TEXTS, tags=st.lists(TEXTS, max_size=3), yanked=st.none() | TEXTS)
def test_any_text_arrives(name: str, notes: str, tags: list[str], yanked: str | None) -> None:
    each = release("com.acme.thing", "1.0.0", name=name, notes=notes, description=name, tags=tags)
    modules = [page_module([(each, yanked)])]
    page = render_page(modules, title=notes)
    assert read_page(page) == modules
    assert page.count(b"</script>") == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<!DOCTYPE html><title>Someone's own page</title>",
        PAGE[: len(PAGE) // 2],
        PAGE + PAGE,
        PAGE.replace(b'"format":1', b'"format":2'),
        PAGE.replace(b'"format":1', b'"format":"1"'),
        PAGE.replace(b'"modules":[', b'"modules":['[:-1]),
        PAGE.replace(b"Energy Meters", b"\xff"),
    ],
)
def test_what_is_not_ours_or_corrupt_is_not_read(data: bytes) -> None:
    assert data != PAGE
    assert read_page(data) is None


def test_a_page_beyond_the_limit_is_not_read() -> None:
    assert read_page(PAGE + b" " * (MAX_PAGE_SIZE - len(PAGE))) is not None
    assert read_page(PAGE + b" " * (MAX_PAGE_SIZE - len(PAGE) + 1)) is None


@pytest.mark.parametrize(
    ("changes", "version"),
    [
        ({"id": "../.."}, False),
        ({"id": "<b>"}, False),
        ({"count": "1"}, False),
        ({"count": -1}, False),
        ({"tags": "abc"}, False),
        ({"latest": None}, False),
        ({"versions": ordinary_modules()[1]["versions"] * 2}, False),
        ({"folder": "javascript:alert(1)"}, True),
        ({"folder": "//elsewhere/x"}, True),
        ({"folder": "/x"}, True),
        ({"folder": "a/../b"}, True),
        ({"folder": ""}, True),
        ({"version": "../1"}, True),
        ({"stage": "odd"}, True),
        ({"licence_crc": 2**32}, True),
        ({"published_at": "now"}, True),
        ({"yanked": False}, True),
    ],
)
def test_a_field_that_we_would_not_write_makes_it_unread(
    changes: dict[str, Any], version: bool
) -> None:
    assert read_page(page_with({})) is not None
    assert read_page(page_with(changes, version=version)) is None


def test_a_forged_module_is_not_read() -> None:
    assert read_page(render_page([forged_module()])) is None


@given(st.integers(0, len(PAGE) - 1), st.binary(max_size=6), st.integers(0, 6))
def test_a_damaged_page_is_read_or_not(location: int, put: bytes, dropped: int) -> None:
    modules = read_page(PAGE[:location] + put + PAGE[location + dropped :])
    if modules is not None:
        assert read_page(render_page(modules)) == modules


def test_a_changed_module_takes_its_place_by_id() -> None:
    first, *others = ordinary_modules()
    changed = page_module([(release(first["id"], "9.0.0"), None)])
    assert merge([first, *others], changed) == [changed, *others]
    new = page_module([(release("com.acme.charts", "1.0.0"), None)])
    ids = [module["id"] for module in merge([first, *others], new)]
    assert ids == sorted([first["id"], "com.acme.charts", *(each["id"] for each in others)])
    assert merge([], new) == [new]


def test_a_module_without_versions_is_taken_out() -> None:
    modules = ordinary_modules()
    gone = modules[1]["id"]
    assert merge(modules, no_versions(gone)) == [modules[0], *modules[2:]]
    assert merge(modules, no_versions("com.acme.unknown")) == modules


def test_a_module_without_versions_is_not_shown() -> None:
    assert render_page([*ordinary_modules(), no_versions("com.acme.zero")]) == PAGE


def test_merging_gives_the_page_that_all_modules_give() -> None:
    modules = ordinary_modules()
    page = render_page([])
    for module in reversed(modules):
        known = read_page(page)
        assert known is not None
        page = render_page(merge(known, module))
    assert page == PAGE
