"""The command that goes on: complete, quoted, without secrets."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest

from ign_deploy.cli.app import deployment_cli
from ign_deploy.cli.command_line import repeat_command

ODD = """it's "$HOME" `id` *; \\ é"""
NOT_REPEATED = ("as_json", "metrics_file")
COMMANDS = ("install", "rollback", "promote", "module", "batch")


def parse(arguments: list[str]) -> click.Context:
    """Parse a command line as the program does, without running it."""
    group = deployment_cli.make_context("ign-deploy", arguments, obj={})
    name, *rest = [*group._protected_args, *group.args]
    command = deployment_cli.get_command(group, name)
    assert command is not None
    return command.make_context(name, rest, parent=group)


def options_of(name: str) -> list[click.Option]:
    found = deployment_cli.get_command(click.Context(deployment_cli), name)
    assert found is not None
    return [
        each
        for each in found.params
        if isinstance(each, click.Option) and each.name not in NOT_REPEATED
    ]


def sample(option: click.Option) -> list[str]:
    """Return one use of the option, with an unusual value if it takes any."""
    name = option.opts[-1]
    if option.is_flag:
        return [name]
    if isinstance(option.type, click.Choice):
        return [name, str(option.type.choices[-1])]
    if isinstance(option.type, click.IntRange):
        return [name, "207"]
    return [name, ODD, name, "-1"] if option.multiple else [name, ODD]


def in_a_shell(command: str) -> list[str]:
    """Return the words that a shell makes of the command."""
    script = f"printf '%s\\0' {command}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, check=True, text=True)
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_line_is_repeated(name: str) -> None:
    options = options_of(name)
    given = [word for option in options for word in sample(option)]
    ctx = parse([name, *given, "one"])
    target = "install" if name in ("module", "batch") else name
    again = in_a_shell(repeat_command(ctx, target, ["one"]))
    assert again[:2] == ["ign-deploy", target]
    repeated = parse(again[1:])
    known = {option.name for option in options_of(target)}
    expected = {each: value for each, value in ctx.params.items() if each in known}
    assert len(expected) > 40
    assert {each: repeated.params[each] for each in expected} == expected


@pytest.mark.parametrize("name", COMMANDS[:3])
@pytest.mark.parametrize("number", range(max(len(options_of(each)) for each in COMMANDS[:3])))
def test_an_option_alone_is_repeated_alone(name: str, number: int) -> None:
    options = options_of(name)
    option = options[number % len(options)]
    ctx = parse([name, *sample(option), "one"])
    command = repeat_command(ctx, name, ["one"])
    assert parse(in_a_shell(command)[1:]).params == ctx.params
    others = {one for each in options if each is not option for one in each.opts}
    assert others.isdisjoint(shlex.split(command)[:3])


def test_what_was_not_given_on_the_command_line_is_not_repeated() -> None:
    ctx = parse(["install", "one", "--version", "", "-e", "production"])
    assert repeat_command(ctx, "install", ["one@1.0.0"]) == (
        "ign-deploy install --environment production one@1.0.0"
    )


def test_the_answer_s_form_and_the_metrics_of_this_run_are_not_repeated() -> None:
    ctx = parse(["install", "one", "--json", "--metrics-file", "run.prom", "--restart", "never"])
    assert repeat_command(ctx, "install", ["one"]) == "ign-deploy install --restart never one"


def test_the_rollback_of_a_promotion_is_for_its_target() -> None:
    ctx = parse(["promote", "-e", "staging", "--to", "production", "--restart", "if-needed"])
    assert repeat_command(ctx, "rollback", ["one"], environment="production") == (
        "ign-deploy rollback -e production --restart if-needed one"
    )


@pytest.mark.parametrize("value", ["a\nb", "a\tb'c\\d", "a\u202eb", "\x1b[2J", "grün\n"])
def test_a_value_with_control_characters_is_quoted_in_one_line(value: str) -> None:
    ctx = parse(["install", "one", "--notes", value])
    command = repeat_command(ctx, "install", ["one"])
    assert command.isprintable()
    words = in_a_shell(command)
    assert words[words.index("--notes") + 1] == value


def test_arguments_that_look_like_options_are_repeated() -> None:
    ctx = parse(["install", "--", "-odd.modl"])
    assert repeat_command(ctx, "install", ["-odd.modl"]) == "ign-deploy install -- -odd.modl"


@pytest.mark.parametrize(
    "user", ["user:s3cret", "s3cret", "s3cret:x-oauth-basic", "user:s3cret@s3cret", ":s3cret", "a:"]
)
def test_users_and_passwords_in_a_url_are_left_out(user: str) -> None:
    """A token may be either of them; the run may not know that it is a secret."""
    ctx = parse(["install", "one", "--health-url", f"https://{user}@gateway.example/a@b"])
    command = repeat_command(ctx, "install", [f"s3://{user}@bucket/one.modl"])
    assert command == (
        "ign-deploy install --health-url 'https://***@gateway.example/a@b' "
        "'s3://***@bucket/one.modl'"
    )


def test_mounted_into_another_program_it_has_that_name() -> None:
    program = click.Group("ign", commands={"deploy": deployment_cli})
    outer = click.Context(program, info_name="ign")
    group = deployment_cli.make_context("deploy", ["install", "one"], parent=outer)
    command: Any = deployment_cli.get_command(group, "install")
    ctx = command.make_context("install", ["one"], parent=group)
    assert repeat_command(ctx, "install", ["one"]) == "ign deploy install one"


def test_paths_are_repeated_as_given() -> None:
    ctx = parse(["install", "./a b.modl", "--config", "my config.toml"])
    assert ctx.params["config_file"] == Path("my config.toml")
    command = repeat_command(ctx, "install", ["./a b.modl"])
    assert command == "ign-deploy install --config 'my config.toml' './a b.modl'"
