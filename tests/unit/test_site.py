"""The site of the documentation: its navigation, and links out of docs/."""

from __future__ import annotations

import importlib.util
import re
from types import ModuleType

import pytest

from tests.support.pages import PAGES, README, ROOT, blocks, page_text


@pytest.fixture(scope="module")
def conf() -> ModuleType:
    found = importlib.util.spec_from_file_location("conf", ROOT / "tools" / "site" / "conf.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_navigation_has_every_page_once_or_through_the_decisions(conf: ModuleType) -> None:
    text = conf.navigation(page_text("index.md"))
    listed = re.findall(r"(?m)^([\w/-]+)$", text)
    pages = {str(page.relative_to(ROOT / "docs").with_suffix("")) for page in PAGES[1:]}
    top = {page for page in pages if "/" not in page} - {"index"}
    assert sorted({*listed}) == sorted({*top, "decisions/README"})
    assert text.count("{toctree}") == text.count(":caption: ") > 3


def test_links_out_of_the_docs_become_addresses(conf: ModuleType) -> None:
    def linked(text: str, page: str) -> str:
        found: str = conf.outside_links(text, page=page)
        return found

    base = f"{conf.REPOSITORY}"
    assert linked("[a](../README.md#x)", "install") == f"[a]({base}/blob/main/README.md#x)"
    assert linked("[a](../examples/config)", "install") == f"[a]({base}/tree/main/examples/config)"
    assert linked("[a](../install.md)", "decisions/0001-x") == "[a](../install.md)"
    assert linked("[a](../../README.md)", "decisions/0001-x") == f"[a]({base}/blob/main/README.md)"


def test_the_index_and_the_decisions_are_completed(conf: ModuleType) -> None:
    source = [page_text("index.md")]
    conf.complete(None, "index", source)
    assert source[0].startswith(page_text("index.md"))
    assert "\ninstall\n" in source[0]
    source = ["# Decisions"]
    conf.complete(None, "decisions/README", source)
    assert "\n0002-release-records\n" in source[0]


def test_ci_builds_the_site_and_a_release_publishes_it() -> None:
    assert "make docs" in (ROOT / ".ci" / "run").read_text("utf-8")
    workflows = ROOT / ".github" / "workflows"
    assert "run: make docs" in (workflows / "ci.yml").read_text("utf-8")
    release = (workflows / "release.yml").read_text("utf-8")
    assert "tools/docs.sh tools-venv/bin/python" in release
    assert "path: build/site" in release
    assert "--fail-on-warning" in (ROOT / "tools" / "docs.sh").read_text("utf-8")


def test_the_picture_in_the_readme_shows_the_stages_in_their_order() -> None:
    pictures = [block for block in blocks("mermaid") if block.page == README.name]
    assert len(pictures) == 1
    stages = re.findall(r"(?m)^\d\. \*\*([a-z]+)\*\*:", page_text("commands.md"))
    shown = re.findall(r"--> ([a-z]+)", pictures[0].text.partition("\n  end")[0])
    assert shown == [stage for stage in stages if stage in shown]
    assert {"package", "sign", "verify", "upload"} <= {*shown}
