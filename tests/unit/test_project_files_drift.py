"""Settings, options, inputs and outputs are told in several places; none may drift from another."""

from __future__ import annotations

from typing import Any

import click
import pytest
import yaml

from ign_deploy.ci.outputs import OUTPUT_NAMES
from ign_deploy.cli import deployment_cli
from ign_deploy.settings import Settings, option_name
from tests.support.runner import ROOT

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
SOURCES = {name: source for name, _, source in Settings.names()}


def options() -> dict[str, set[str]]:
    """Return every command's options: its names and flags."""
    context = click.Context(deployment_cli)
    found: dict[str, set[str]] = {}
    for name in deployment_cli.list_commands(context):
        command = deployment_cli.get_command(context, name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option):
                found.setdefault(str(option.name), set()).update(option.opts)
    return found


def test_every_setting_that_is_no_secret_is_an_option_somewhere() -> None:
    missing = {name for name, source in SOURCES.items() if not source.secret} - set(options())
    assert missing == set()


def test_an_option_of_a_setting_is_spelt_like_it() -> None:
    for name, flags in options().items():
        if name in SOURCES:
            assert not SOURCES[name].secret
            assert option_name(name) in flags


@pytest.mark.parametrize("name", SOURCES)
def test_every_setting_is_described_once_and_in_a_sentence(name: str) -> None:
    text = SOURCES[name].help
    assert text[0].isupper()
    assert len(text) < 120


def test_environment_names_are_not_shared() -> None:
    names = [source.env for source in SOURCES.values() if source.env]
    names += [f"IGN_DEPLOY_{name.upper()}" for name, source in SOURCES.items()]
    ours = [f"IGN_DEPLOY_{name.upper()}" for name in SOURCES]
    again = {name for name in names if names.count(name) > 1}
    assert all(SOURCES[name.removeprefix("IGN_DEPLOY_").lower()].env == name for name in again)
    assert len(set(ours)) == len(ours)


def test_inputs_settings_and_outputs_agree_with_the_action() -> None:
    hyphenated = {name.replace("_", "-") for name in SOURCES}
    assert set(ACTION["inputs"]) == hyphenated | {"command", "path"}
    assert list(ACTION["outputs"]) == list(OUTPUT_NAMES)


def test_the_action_names_every_command() -> None:
    text = " ".join(ACTION["inputs"]["command"]["description"].split())
    context = click.Context(deployment_cli)
    for name in deployment_cli.list_commands(context):
        # A key must not be made in a job's log.
        assert name in text or name == "generate-certificate"
