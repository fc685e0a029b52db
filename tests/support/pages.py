"""Parts of the project's pages for tests: fenced blocks, prose, sections, code marks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click

from ign_deploy.cli import deployment_cli

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    language: str
    text: str
    before: str


def blocks(*languages: str) -> list[Block]:
    """Return the fenced blocks in these languages from all pages."""
    found: list[Block] = []
    for page, name in zip(PAGES, PAGE_NAMES, strict=True):
        text = page.read_text("utf-8")
        for match in FENCE.finditer(text):
            if match[2] in languages:
                found.append(Block(name, match[2], match[3], text[: match.start()]))
    return found


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return FENCE.sub("", text)


def page_text(name: str) -> str:
    return (ROOT / "docs" / name).read_text("utf-8")


def section(text: str, title: str) -> str:
    """Return the text under a heading, up to the next heading of level 1 or 2."""
    match = re.search(rf"^(#+) {re.escape(title)}\n(.*?)(?=^#{{1,2}} |\Z)", text, re.M | re.S)
    assert match is not None, title
    return match[2]


def code_words(text: str) -> set[str]:
    """Return everything in `code` marks, in full and as its first word."""
    spans = CODE.findall(text)
    return {*spans, *(span.split()[0] for span in spans)}


def commands() -> dict[str, click.Command]:
    context = click.Context(deployment_cli)
    found: dict[str, click.Command] = {}
    for name in deployment_cli.list_commands(context):
        command = deployment_cli.get_command(context, name)
        assert command is not None
        found[name] = command
    return found
