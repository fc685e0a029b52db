"""Rewrite the generated parts of the reference pages from the code.

    .venv/bin/python -m tools.reference_pages

Tables of options come from the commands, tables of settings from the settings model. They stand in
the pages between `<!-- generated: NAME -->` and `<!-- end -->`; everything else on the pages is
written by hand. To say more than an option's help does, add a sentence to `reference_notes.py`.
In the tables of findings, severities and order come from the code, what a finding means by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ign_deploy.cli import deployment_cli
from ign_deploy.cli.options import DEPLOYING, EVENTS, REPOSITORY, SHORT, SIGNING
from ign_deploy.settings import Settings, Source, default_variable, option_name
from tools.finding_codes import used_codes
from tools.reference_notes import OPTION_NOTES, SETTING_NOTES

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("commands.md", "settings.md", "findings.md")
_EVERY = "Options of every command"
_HELP = "_click_default_help"
SHARED: Mapping[str, tuple[str, ...]] = {
    _EVERY: ("as_json", "verbose", "no_color", "config_file", "env_file", _HELP),
    "Options for signing": SIGNING,
    "Options of the repository": REPOSITORY,
    "Options for maintenance": ("reason", "audit_file", "dry_run"),
    "Options for deployments": (
        *("trust_anchor", "allow_expired", "notes", "notes_file", "tags"),
        *("cache_dir", "dry_run"),
    ),
    "Options for gateways": (*DEPLOYING, "continue_on_error"),
    "Options for notifications": EVENTS,
}
# A section begins with this setting, in the model's order.
SECTIONS = {
    "version": "Release",
    "continue_on_error": "Several modules",
    "tag": "Guards",
    "output_dir": "Building",
    "key": "Signing",
    "repository_url": "The repository",
    "gateway": "Deploying",
    "webhook_url": "Notifications",
    "audit_file": "Audit trail and metrics",
}
_BLOCK = re.compile(r"(<!-- generated: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_FINDING = re.compile(r"\| `([a-z0-9-]+)` \| (error|warning|info) \| (.+)")
_FINDINGS = re.compile(rf"(?:^{_FINDING.pattern}\n)+", re.MULTILINE)
_USAGE = re.compile(r"(?<=\n\n)`ign-deploy ((?:trust )?[a-z-]+) [^`\n]*`(?=\n\n)")
_CODE = re.compile(
    r"--[a-z][a-z-]+|[A-Z]+(?:_[A-Z]+)+|ign-build|v\{version\}|modules\.json|smtps?://host:\d+|"
    r"NAME:KEY|ID@VERSION|name=value(?:,name=value)*|pkcs11:|(?:ign-deploy|pyproject)\.toml|"
    r"(?<=or )yes(?= for)|(?<=days left; )0(?=: never)"
)
_FLAG = re.compile(r"--[a-z0-9-]+")
Row = tuple[str, str]


def generated(text: str) -> str:
    """Return a page with its generated parts as the code has them now."""
    text = _USAGE.sub(lambda found: f"`{_usage(found[1])}`", text)
    text = _FINDINGS.sub(lambda found: _finding_table(found[0]), text)
    return _BLOCK.sub(lambda found: f"{found[1]}\n{_part(found[2])}\n\n{found[3]}", text)


def _finding_table(text: str) -> str:
    """Return rows of findings, sorted, with the severities that the program gives them."""
    codes = used_codes()
    rows = [_FINDING.fullmatch(line) for line in text.splitlines()]
    found = [
        (row[1], " or ".join(sorted(codes.get(row[1], {row[2]}))), row[3]) for row in rows if row
    ]
    return "".join(f"| `{code}` | {severity} | {rest}\n" for code, severity, rest in sorted(found))


def _part(name: str) -> str:
    if name == "commands":
        return _command_list()
    if name == "settings":
        return "\n\n".join(_settings())
    if name in SHARED:
        return _table(_with_notes(_shared_rows(name), name).values())
    return _options_of(name)


def commands() -> dict[str, click.Command]:
    """Return all commands, in the order of the help."""
    context = click.Context(deployment_cli)
    names = deployment_cli.list_commands(context)
    found = ((name, deployment_cli.get_command(context, name)) for name in names)
    return {name: command for name, command in found if command is not None}


def _context(name: str) -> click.Context:
    group = click.Context(deployment_cli, **deployment_cli.context_settings)
    return click.Context(commands()[name], parent=group)


def _usage(name: str) -> str:
    return " ".join(["ign-deploy", name, *commands()[name].collect_usage_pieces(_context(name))])


def _command_list() -> str:
    lines = ["| Command | What it does |", "|---|---|"]
    for name, command in commands().items():
        lines.append(f"| [`{name}`](#{_anchor(name)}) | {command.get_short_help_str(200)} |")
    return "\n".join(lines)


def _options_of(name: str) -> str:
    """Return the table of a command's own options, and links to those that it shares."""
    own, links = _rows(name), []
    for title, names in SHARED.items():
        if set(names) <= set(own):
            own = _without(own, _shared_rows(title))
            links += [f"[{_short_title(title)}](#{_anchor(title)})"] if title != _EVERY else []
    if name == "batch":
        own, links = _without(own, _rows("module")), ["of [`module`](#module), for every path"]
    parts = [_table(_with_notes(own, name).values())] if own else []
    parts += [f"Also the options {_listed(links)}."] if links else []
    return "\n\n".join(parts)


def _without(rows: Mapping[str, Row], others: Mapping[str, Row]) -> dict[str, Row]:
    return {name: row for name, row in rows.items() if others.get(name) != row}


def _shared_rows(title: str) -> dict[str, Row]:
    """Return the rows of options that several commands share, as the first of these has them."""
    names = SHARED[title]
    rows = next(rows for name in commands() if set(names) <= set(rows := _rows(name)))
    return {name: rows[name] for name in names}


@cache
def _rows(command_name: str) -> dict[str, Row]:
    """Return option name → its two cells, for all options of a command."""
    context = _context(command_name)
    records = {
        str(option.name): option.get_help_record(context)
        for option in commands()[command_name].get_params(context)
        if isinstance(option, click.Option)
    }
    # click keeps the help option of whoever used the command first, with other names perhaps.
    names = ", ".join(context.help_option_names)
    return {
        name: _row(names if name == _HELP else record[0], record[1])
        for name, record in records.items()
        if record is not None
    }


def _row(names: str, text: str) -> Row:
    """Return the cells for an option as the help has it: `-o, --output-dir PATH`."""
    meaning, *extras = text.split("  [")
    names = re.sub(r" \[([^]]+)\]$", r" \1", names).replace("INTEGER RANGE", "N")
    names = names.replace("DIRECTORY", "PATH")
    first = ", ".join(f"`{name}`" for name in names.split(", "))
    if default := re.search(r"default: ([^;\]]+)", "; ".join(extras)):
        meaning = f"{meaning.removesuffix('.')} (default: {_default(default[1])})."
    if "required]" in "; ".join(extras):
        meaning += " Required."
    return first, _marked(meaning)


def _with_notes(rows: Mapping[str, Row], subject: str) -> dict[str, Row]:
    """Return the rows with what `reference_notes.py` adds to the options of a command or title."""
    noted = {}
    for name, (first, meaning) in rows.items():
        notes = [
            text
            for (where, option), text in OPTION_NOTES.items()
            if where == subject and option in _FLAG.findall(first)
        ]
        noted[name] = (first, " ".join([meaning, *notes]))
    return noted


def _default(text: str) -> str:
    """Return a default in code marks if it is a value, else as it is worded."""
    text = text.strip("()")
    return text if " " in text or text in {"none", "newest"} else f"`{text}`"


def _marked(text: str) -> str:
    """Return a help text with code marks on what is typed or read by a program."""
    parts = text.split("`")
    parts[::2] = [
        _CODE.sub(r"`\g<0>`", re.sub(r"'([^' ]+)'", r"`\1`", part)) for part in parts[::2]
    ]
    return "`".join(parts)


def _table(rows: Iterable[Row]) -> str:
    lines = ["| Option | Meaning |", "|---|---|"]
    lines += [f"| {_cell(first)} | {_cell(second)} |" for first, second in rows]
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _short_title(title: str) -> str:
    return title.removeprefix("Options ")


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def _listed(links: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(links[:-1]), links[-1])))


def _settings() -> Iterator[str]:
    """Yield the sections of the settings, each a heading and a table."""
    sections: dict[str, list[str]] = {title: [] for title in SECTIONS.values()}
    title = ""
    for name, field, source in Settings.names():
        title = SECTIONS.get(name, title)
        sections[title].append(_setting_row(name, field, source))
    for title, rows in sections.items():
        yield f"### {title}"
        head = "| Name | Option | Environment | Default | Meaning |\n|---|---|---|---|---|\n"
        yield head + "\n".join(rows)


def _setting_row(name: str, field: FieldInfo, source: Source) -> str:
    option = "none" if source.secret else f"`{option_name(name)}`"
    if name in SHORT:
        option += f", `{SHORT[name]}`"
    variables = [source.env] if source.env else []
    variables += [each for each in [default_variable(name)] if each not in variables]
    meaning = ("**Secret.** " if source.secret else "") + _marked(source.help)
    if get_origin(field.annotation) is Literal:
        values = [f"`{each}`" for each in get_args(field.annotation) if each]
        meaning += f" One of {', '.join(values)}."
    key = name.replace("_", "-")
    cells = (
        f"`{key}`",
        option,
        ", ".join(f"`{each}`" for each in variables),
        _setting_default(field, source),
        " ".join(filter(None, (meaning, SETTING_NOTES.get(key)))),
    )
    return f"| {' | '.join(map(_cell, cells))} |".replace("|  |", "| |")


def _setting_default(field: FieldInfo, source: Source) -> str:
    if isinstance(field.default, bool):
        return f"`{field.default}`".lower()
    if isinstance(field.default, int | Path) or (field.default and isinstance(field.default, str)):
        return f"`{field.default}`"
    return _default(source.default) if source.default else ""


def main() -> None:
    """Rewrite the pages in place."""
    for name in PAGES:
        page = DOCS / name
        page.write_text(generated(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
