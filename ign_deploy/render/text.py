"""YAML that means the same to every reader, below a header of comments."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import yaml

# Text that matches is written plain. Anything that some YAML reader could take for a number, a date
# or a boolean (1.1 and 1.2 disagree about 1e3, 0o7, on) is quoted.
_PLAIN = re.compile(r"/?[A-Za-z][A-Za-z0-9_]*(?:[./-]+[A-Za-z0-9_]+)*", re.ASCII)
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True  # no anchors or aliases: they are hard to read

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002
        super().increase_indent(flow, indentless=False)  # lists are indented below their key


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    is_plain = _PLAIN.fullmatch(text) is not None and text.lower() not in _WORDS
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


def _represent_script(dumper: yaml.SafeDumper, text: Script) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")


class Script(str):
    """A multi-line text, written as a block."""

    __slots__ = ()


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(Script, _represent_script)


def yaml_document(tree: dict[str, Any]) -> str:
    """Return a tree of plain values as YAML, keys in the order given."""
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, width=2**20, allow_unicode=False)
    return text


def header(paragraphs: Sequence[str], *, listed: Sequence[str], notes: Sequence[str]) -> str:
    """Return comments: paragraphs, items on one unbroken line each, then notes."""
    blocks = [_wrapped(paragraph, first="# ", others="# ") for paragraph in paragraphs]
    blocks += [[f"#   {one_line(item)}" for item in listed], ["# Notes:"]]
    blocks.append([line for note in notes for line in _wrapped(note, first="# - ", others="#   ")])
    return "\n#\n".join("\n".join(block) for block in blocks) + "\n"


def _wrapped(text: str, *, first: str, others: str) -> list[str]:
    # Never break a word, so that fingerprints and options can be copied.
    return textwrap.wrap(
        one_line(text),
        96,
        break_on_hyphens=False,
        break_long_words=False,
        initial_indent=first,
        subsequent_indent=others,
    )


def one_line(text: str) -> str:
    """Escape untrusted text for a comment, so that nothing in it ends the line."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def escape_dollars(text: str) -> str:
    """Escape ``$``, which compose and Kubernetes (in arguments) expand; ``$$`` is a literal one."""
    return text.replace("$", "$$")
