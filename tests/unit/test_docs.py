"""The documentation agrees with the code: commands, settings, codes and links."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ign_deploy
from ign_deploy.cli.status import GATEWAYS_DIFFER
from ign_deploy.deployment.records import DEPLOYED_OUTCOMES, Outcome
from ign_deploy.errors import IgnDeployError
from ign_deploy.settings import GatewayEntry, Settings, Source, default_variable, option_name
from tests.support.pages import (
    LINK,
    PAGE_NAMES,
    PAGES,
    README,
    ROOT,
    code_words,
    commands,
    page_text,
    prose,
    section,
)
from tools.reference_pages import PAGES as REFERENCE_PAGES
from tools.reference_pages import generated

COMMANDS = commands()
# Local paths and tools, and hosts that readers have no use for.
FORBIDDEN = re.compile(
    r"/wor[k]/[a-z.]|\.\./share[d]|/roo[t]/|localhost/|py[p]i\.org|proxy\.golan[g]|"
    r"registry\.np[m]js|files\.python[h]osted|DESIG[N]\.md|\bTODO\b|\bFIXME\b|\bissue \d",
)


def options_of(command: click.Command) -> Iterator[click.Option]:
    for item in command.get_params(click.Context(command)):
        if isinstance(item, click.Option):
            yield item


def option_tables(name: str) -> str:
    """Return a command's section, and those that its line "Also the options …" links to."""
    text = page_text("commands.md")
    found = section(text, name)
    titles = {slug(title): title for title in re.findall(r"^## (.+)$", text, re.M)}
    for line in re.findall(r"^Also the options .*?(?=\n\n|\Z)", found, re.M | re.S):
        found += "".join(
            option_tables(titles[link[1:]]) for link in LINK.findall(line) if link[0] == "#"
        )
    return found


@pytest.mark.parametrize("name", REFERENCE_PAGES)
def test_the_reference_page_matches_the_code(name: str) -> None:
    text = page_text(name)
    assert text == generated(text), "run: .venv/bin/python -m tools.reference_pages"


def test_every_page_is_in_the_list_of_all_pages() -> None:
    _, _, listed = page_text("index.md").partition("\n## All pages\n")
    pages = {page.name for page in PAGES if page.parent == ROOT / "docs"} - {"index.md"}
    assert pages <= set(LINK.findall(listed)), "add the page to docs/index.md"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_all_its_options_are_documented(name: str) -> None:
    text = page_text("commands.md")
    known = code_words(option_tables(name) + section(text, "Options of every command"))
    assert f"](#{slug(name)})" in text
    for option in options_of(COMMANDS[name]):
        assert {*option.opts} <= known, f"{name} {option.opts}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_documented_option_exists(name: str) -> None:
    rows = re.findall(r"^\| (`-.*?) \|", option_tables(name), re.M)
    documented = {word for row in rows for word in code_words(row) if word.startswith("-")}
    real = {flag for option in options_of(COMMANDS[name]) for flag in option.opts}
    assert {word for word in documented if " " not in word} <= real


def test_every_outcome_of_a_deployment_is_documented_with_its_exit_code() -> None:
    rows = table_rows(section(page_text("commands.md"), "install"))
    codes = {
        Outcome.ROLLBACK_FAILED: "8",
        Outcome.ROLLED_BACK: "7",
        Outcome.FAILED: "7",
    }
    for outcome in set(Outcome) - {Outcome.UNTOUCHED}:
        assert rows[outcome.value].split("|")[1].strip() == codes.get(outcome, "0")
    assert set(Outcome) - {Outcome.UNTOUCHED, *codes} == DEPLOYED_OUTCOMES


def test_every_documented_command_exists() -> None:
    documented = re.findall(r"^\| \[`([a-z -]+)`\]\(#", page_text("commands.md"), re.M)
    assert documented == list(COMMANDS)


def setting_rows() -> dict[str, str]:
    text = section(page_text("settings.md"), "All settings")
    rows = re.findall(r"^\| `([a-z-]+)` (\|.*)$", text, re.M)
    return dict(rows)


@pytest.mark.parametrize(
    ("name", "source"), [(name, source) for name, _, source in Settings.names()]
)
def test_every_setting_is_documented_with_its_option_and_variables(
    name: str, source: Source
) -> None:
    row = setting_rows()[name.replace("_", "-")]
    option, environment = row.split("|")[1:3]
    assert default_variable(name) in code_words(environment)
    assert not source.env or source.env in code_words(environment)
    assert source.secret != (option_name(name) in code_words(option))
    assert source.secret == ("**Secret.**" in row)


def test_every_documented_setting_exists() -> None:
    assert set(setting_rows()) == {name.replace("_", "-") for name, _, _ in Settings.names()}


def test_every_key_of_a_gateway_in_the_config_file_is_documented() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", section(page_text("settings.md"), "Gateways"), re.M)
    known = [name.replace("_", "-") for name in GatewayEntry.model_fields]
    assert rows == known


def test_documented_defaults_are_right() -> None:
    rows = setting_rows()
    for name, field, _ in Settings.names():
        documented = rows[name.replace("_", "-")].split("|")[3].strip()
        if isinstance(field.default, bool):
            assert documented == f"`{field.default}`".lower()
        elif isinstance(field.default, int | Path) or (field.default and name == "format"):
            assert documented == f"`{field.default}`"


def error_classes() -> set[type[IgnDeployError]]:
    for module in pkgutil.walk_packages(ign_deploy.__path__, "ign_deploy."):
        if not module.name.endswith("__main__") and "supervisor" not in module.name:
            importlib.import_module(module.name)
    found: set[type[IgnDeployError]] = {IgnDeployError}
    pending = [IgnDeployError]
    while pending:
        children = [one for one in pending.pop().__subclasses__() if one not in found]
        ours = [one for one in children if one.__module__.startswith("ign_deploy.")]
        found.update(ours)
        pending += ours
    return found


def table_rows(text: str) -> dict[str, str]:
    """Return a table's rows by their first cell, without code marks."""
    rows = re.findall(r"^\| `?([a-z0-9-]+)`? (\|.*)$", text, re.M)
    return dict(rows)


def test_every_error_code_is_documented_with_its_exit_code() -> None:
    rows = table_rows(section(page_text("troubleshooting.md"), "Error codes"))
    for kind in error_classes():
        assert str(kind.exit_code) in rows[kind.code].split("|")[1], kind
    given = set(re.findall(r'[(\s]code="([a-z-]+)"', source_texts()))
    assert set(rows) == {kind.code for kind in error_classes()} | given


def test_every_exit_code_is_documented() -> None:
    rows = table_rows(section(page_text("troubleshooting.md"), "Exit codes"))
    ours = {kind.exit_code for kind in error_classes()} | {0, GATEWAYS_DIFFER}
    assert {int(code) for code in rows if int(code) < 128} == ours


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of a page's headings."""
    return {slug(title) for title in re.findall(r"^#+ (.+)$", prose(page.read_text("utf-8")), re.M)}


def slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_every_relative_link_has_a_target(name: str) -> None:
    page = ROOT / name
    for link in LINK.findall(prose(page.read_text("utf-8"))):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_every_page_is_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    pending = [README]
    while pending:
        page = pending.pop()
        if page not in reached and page.is_file():
            reached.add(page)
            links = LINK.findall(prose(page.read_text("utf-8")))
            paths = [link.partition("#")[0] for link in links if "://" not in link]
            pending += [(page.parent / path).resolve() for path in paths if path.endswith(".md")]
    assert set(PAGES) <= reached


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_no_page_names_local_paths_or_tools(name: str) -> None:
    assert FORBIDDEN.findall((ROOT / name).read_text("utf-8")) == []


def source_texts() -> str:
    """Return the code, with multi-line strings joined."""
    code = "\n".join(
        path.read_text("utf-8") for path in sorted((ROOT / "ign_deploy").rglob("*.py"))
    )
    return re.sub(r"[\"']\s*\n\s*f?[\"']", "", code)


RUNBOOKS = ("runbook-exit-7.md", "runbook-exit-8.md")


def quoted_messages() -> list[str]:
    first_cells = re.findall(r"^\| (.*?) \|", page_text("troubleshooting.md"), re.M)
    found = [text for cell in first_cells for text in re.findall(r"\"([^\"]+)\"", cell)]
    for page in RUNBOOKS:
        seen = re.findall(r"^You see (.*?)\n\n", page_text(page), re.M | re.S)
        quoted = re.findall(r"\"([^\"]+)\"", " ".join(seen))
        found += [" ".join(text.split()) for text in quoted]
    return found


# What separates the fixed words of a message: values that vary.
BETWEEN = re.compile(r"…|\S*[0-9]\S*|\.modl|zipModule|https:|JCEKS|release\.json")


@pytest.mark.parametrize("message", quoted_messages())
def test_quoted_messages_exist(message: str) -> None:
    code = source_texts()
    assert [part for part in BETWEEN.split(message) if part.strip() not in code] == []


def test_there_are_quoted_messages() -> None:
    assert len(quoted_messages()) > 15
