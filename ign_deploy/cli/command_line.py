"""The command that goes on, from the options that were given on this command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from typing import cast

import click
from click.core import ParameterSource

_CREDENTIALS = re.compile(r"://[^/\s]*@")
"""A token may be the user's name, beside a password without meaning."""
_OF_THIS_RUN = frozenset({"as_json", "metrics_file"})
"""A person types the printed command, and its metrics would replace those of this run."""


def repeat_command(
    ctx: click.Context, name: str, arguments: Sequence[str], *, environment: str = ""
) -> str:
    """Return a command line for the command ``name``, quoted for a shell.

    It has every option of this command line that the command ``name`` has, too, except --json and
    --metrics-file; what came from the environment or a config file comes from there again.
    ``environment`` is the target, instead of what this command line says. Users and passwords in
    URLs are left out.
    """
    group = cast("click.Context", ctx.parent)
    command = cast("click.Group", group.command).get_command(group, name) or ctx.command
    known = {param.name for param in command.params if isinstance(param, click.Option)}
    known -= _OF_THIS_RUN | ({"environment", "to"} if environment else set())
    if (ctx.command.name, name) == ("trust change", "rollback"):
        known -= {"accept_certificate"}  # it names the new signer; what comes back has the old one
    words = [
        *group.command_path.split(),
        *name.split(),
        *(["-e", environment] if environment else []),
    ]
    for param in ctx.command.params:
        is_given = ctx.get_parameter_source(str(param.name)) is ParameterSource.COMMANDLINE
        if is_given and isinstance(param, click.Option) and param.name in known:
            words += _option_words(param, ctx.params[str(param.name)])
    words += ["--"] if any(each.startswith("-") for each in arguments) else []
    return " ".join(_quoted(_CREDENTIALS.sub("://***@", each)) for each in (*words, *arguments))


def _option_words(option: click.Option, value: object) -> Iterator[str]:
    name = max(option.opts, key=len)
    if option.is_flag:
        yield name
        return
    for each in value if isinstance(value, tuple) else (value,):
        if str(each).startswith("-"):
            yield f"{name}={each}"
        elif str(each):  # --version "$EMPTY" means: not given
            yield from (name, str(each))


def _quoted(word: str) -> str:
    """Return the word for a shell, in one line."""
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_escaped, word))}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))
