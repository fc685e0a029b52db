"""Examples in the documentation work: command lines, workflows, files, local use."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ign_deploy.cli.app import behind_command
from ign_deploy.settings import Inputs
from tests.support.modules import build_module
from tests.support.pages import (
    CODE,
    PAGE_NAMES,
    PAGES,
    ROOT,
    Block,
    blocks,
    code_words,
    commands,
    page_text,
    prose,
    section,
)
from tests.support.runner import ACTION

EXECUTED_MARK = "is run by tests/unit/test_doc_examples.py"
COMMANDS = commands()


def command_lines() -> list[tuple[str, str]]:
    """Return every ``ign-deploy …`` command line in a fenced block, with its page."""
    found: list[tuple[str, str]] = []
    for block in blocks("sh", "bash", "yaml", "groovy", "ini"):
        text = re.sub(r"\\\n\s*", " ", block.text)
        starts = re.findall(r"^\s*(?:- |- run: |sh ')?(ign-deploy .*?)'?$", text, re.M)
        found += [(block.page, line) for line in starts]
    return found


def in_prose() -> list[tuple[str, str]]:
    """Return every complete ``ign-deploy …`` command line in code marks, with its page."""
    return [
        (name, span)
        for page, name in zip(PAGES, PAGE_NAMES, strict=True)
        for span in CODE.findall(prose(page.read_text("utf-8")))
        if span.startswith("ign-deploy ") and not re.search(r"[…\[A-Z]{2}|…|COMMAND", span)
    ]


@pytest.mark.parametrize(("page", "line"), command_lines() + in_prose())
def test_every_documented_command_line_is_valid(page: str, line: str) -> None:
    assert_valid(shlex.split(line, comments=True)[1:])


def assert_valid(arguments: list[str]) -> None:
    name, *rest = behind_command(arguments)
    command = COMMANDS[name]
    with suppress(click.MissingParameter):  # prose omits what doesn't matter there
        command.parse_args(click.Context(command), rest)


def test_every_command_has_an_example() -> None:
    lines = [line for _, line in command_lines()]
    assert {behind_command(shlex.split(line)[1:])[0] for line in lines} == set(COMMANDS)


def test_an_unknown_option_would_be_noticed() -> None:
    with pytest.raises(click.NoSuchOption):
        assert_valid(["sign", "x.modl", "--key-file", "y"])


def steps_with_our_action(workflow: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for job in workflow.get("jobs", {}).values():
        for step in job.get("steps", []):
            if str(step.get("uses", "")).startswith("org/ign-deploy@"):
                yield step


@pytest.mark.parametrize("block", blocks("yaml"), ids=lambda block: block.page)
def test_workflows_are_valid_and_use_existing_inputs(block: Block) -> None:
    workflow = yaml.safe_load(block.text)
    for step in steps_with_our_action(workflow):
        assert set(step.get("with", {})) <= set(ACTION["inputs"])
    if "jobs" in workflow:
        assert workflow["permissions"] == {}
    for name in re.findall(r"steps\.module\.outputs\.([\w-]+)", block.text):
        assert name in ACTION["outputs"]


def test_every_output_is_documented() -> None:
    documented = code_words(section(page_text("release-from-github.md"), "Inputs and outputs"))
    assert set(ACTION["outputs"]) <= documented


def test_the_readmes_workflow_is_short() -> None:
    [workflow] = [block for block in blocks("yaml") if block.page == "README.md"]
    assert len(workflow.text.splitlines()) <= 25
    assert list(steps_with_our_action(yaml.safe_load(workflow.text)))


@pytest.mark.parametrize("block", blocks("toml"), ids=lambda block: block.page)
def test_config_files_are_valid(block: Block, tmp_path: Path) -> None:
    (tmp_path / "ign-deploy.toml").write_text(block.text, encoding="utf-8")
    resolved = Inputs(env={}, flags={}, folder=tmp_path).resolve()
    names = {name.replace("-", "_") for name in tomllib.loads(block.text)}
    assert names == set(resolved.origins)


def test_env_files_are_valid(tmp_path: Path) -> None:
    [block] = blocks("ini")
    (tmp_path / "env").write_text(block.text, encoding="utf-8")
    inputs = Inputs(env={}, flags={}, folder=tmp_path, env_file=tmp_path / "env")
    assert set(inputs.resolve().origins) == {"signing_password", "repository_url"}


@pytest.mark.parametrize("given", ["a,b", ("a,b",), ("a", "b"), "a\nb"])
def test_tags_are_split_at_commas(given: object, tmp_path: Path) -> None:
    inputs = Inputs(env={}, flags={"tags": given}, folder=tmp_path)
    assert inputs.resolve().settings.tags == ("a", "b")


def test_the_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for block in blocks("sh"):
        assert set(re.findall(r"^make ([a-z-]+)", block.text, re.M)) <= targets


def test_the_commands_for_local_use_work(tmp_path: Path) -> None:
    [block] = [item for item in blocks("sh") if EXECUTED_MARK in item.before.splitlines()[-1]]
    build_module(tmp_path / "pump.unsigned.modl")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text],
        cwd=tmp_path,
        env={"PATH": path, "HOME": str(tmp_path), "LANG": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "dist/pump.modl").is_file()
    record = "module-repository/modules/com.example.pump/1.2.3/release.json"
    assert (tmp_path / record).is_file()
    assert "✓ intact, signed by " in done.stdout
