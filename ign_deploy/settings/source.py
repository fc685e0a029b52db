"""How a setting can be given, and what it is called at every door."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BeforeValidator


@dataclass(frozen=True, slots=True)
class Source:
    """How a setting can be given, beside its flag, its action input and its config key.

    ``env`` is its environment variable. A ``secret`` has no flag (command lines can be read by
    other users) and no config key (files get committed); its value is masked wherever it appears.
    ``material`` may be a path, Base64 or the value itself: only the latter two are secrets.
    """

    help: str
    env: str = ""
    secret: bool = False
    material: bool = False


def _split_lines(value: object) -> object:
    """Accept one value a line (action inputs), or separated by commas."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.replace(",", "\n").splitlines() if part.strip())
    return value


def _split_tags(value: object) -> object:
    """Do as for lines, also inside each item: `--tags a,b` is two tags, no tag has a comma."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return _split_lines("\n".join(value))
    return _split_lines(value)


Lines = Annotated[tuple[str, ...], BeforeValidator(_split_lines)]
Tags = Annotated[tuple[str, ...], BeforeValidator(_split_tags)]


def option_name(name: str) -> str:
    """Return a setting's command line option: ``--cert-path``."""
    return "--" + name.replace("_", "-")


def input_variable(name: str) -> str:
    """Return the variable that holds an action input: upper case, only spaces become ``_``."""
    return "INPUT_" + name.replace("_", "-").upper()


def default_variable(name: str) -> str:
    """Return the environment variable of a setting that has no older name of its own."""
    return "IGN_DEPLOY_" + name.upper()
