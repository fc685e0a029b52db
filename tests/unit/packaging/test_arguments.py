"""The user's arguments and the usual tasks."""

from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.packaging.arguments import (
    GRADLE_VALUE_OPTIONS,
    MAVEN_VALUE_OPTIONS,
    shown,
    split_arguments,
    with_tasks,
)


def gradle(*arguments: str) -> tuple[str, ...]:
    return with_tasks(arguments, defaults=("clean", "zip"), value_options=GRADLE_VALUE_OPTIONS)


def test_without_arguments_the_usual_tasks_are_run() -> None:
    assert gradle() == ("clean", "zip")


def test_a_task_stands_in_place_of_the_usual_ones() -> None:
    assert gradle(":a:zipModule", "--info") == (":a:zipModule", "--info")


@pytest.mark.parametrize(
    "arguments", [("-Pversion=1",), ("-x", "test"), ("--exclude-task", "lint", "--offline")]
)
def test_options_alone_keep_the_usual_tasks(arguments: tuple[str, ...]) -> None:
    assert gradle(*arguments) == (*arguments, "clean", "zip")


def test_maven_s_options_have_values_of_their_own() -> None:
    goals = with_tasks(
        ("-pl", "a,b", "-DskipTests"), defaults=("package",), value_options=MAVEN_VALUE_OPTIONS
    )
    assert goals == ("-pl", "a,b", "-DskipTests", "package")


def test_text_is_split_like_a_shell_does() -> None:
    assert split_arguments("-Pa='b c' zip") == ("-Pa=b c", "zip")


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="can't be split"):
        split_arguments("-Pa='b")


def test_secrets_in_properties_are_not_shown() -> None:
    text = shown(["-PnexusPassword=abc", "-Da.Token=x=y", "-Pversion=1.2.3", "zipModule"])
    assert text == "'-PnexusPassword=***' '-Da.Token=***' -Pversion=1.2.3 zipModule"
