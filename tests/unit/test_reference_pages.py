"""The reference pages are written again from the code, and nothing in the tool is unused."""

from __future__ import annotations

import re

import click
import pytest

from ign_deploy.settings import Settings
from tests.support.pages import commands, page_text
from tools.reference_notes import OPTION_NOTES, SETTING_NOTES
from tools.reference_pages import PAGES, SECTIONS, SHARED, generated

MARK = re.compile(r"<!-- generated: ([^>]+) -->")


@pytest.mark.parametrize("name", ["commands.md", "settings.md"])
def test_a_changed_table_and_usage_line_are_written_again(name: str) -> None:
    text = page_text(name)
    changed = re.sub(r"(?m)^\| [`\[].*\n", "", text).replace("sign [OPTIONS] FILE…", "sign FILE")
    assert changed != text
    assert generated(changed).count("\n| `") > 50
    assert "`ign-deploy sign FILE`" not in generated(changed)


def test_severities_of_findings_come_from_the_code() -> None:
    text = page_text("findings.md")
    changed = text.replace("| `unsigned` | error |", "| `unsigned` | info |")
    assert changed != text
    assert generated(changed) == text


def test_every_part_is_on_a_page() -> None:
    found = [mark for name in PAGES for mark in MARK.findall(page_text(name))]
    assert sorted(found) == sorted(["commands", "settings", *SHARED, *commands()])


def test_every_note_is_for_something_that_exists() -> None:
    options = {
        (name, flag)
        for name, command in commands().items()
        for option in command.params
        if isinstance(option, click.Option)
        for flag in option.opts
    }
    options |= {(title, flag) for title in SHARED for _, flag in options}
    assert set(OPTION_NOTES) <= options
    settings = {name.replace("_", "-") for name, _, _ in Settings.names()}
    assert set(SETTING_NOTES) <= settings
    assert {name.replace("_", "-") for name in SECTIONS} <= settings


def test_every_note_is_shown() -> None:
    text = "".join(map(page_text, PAGES)).replace("\\|", "|")
    notes = [*OPTION_NOTES.values(), *SETTING_NOTES.values()]
    assert [note for note in notes if f"{note} |" not in text] == []
