"""The gateway's version grammar."""

from __future__ import annotations

import random

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError, plain_version

IN_ORDER = [
    "dev", "0.0.1", "1.2.3-SNAPSHOT", "1.2.3-beta1", "1.2.3-beta2", "1.2.3-beta10", "1.2.3-rc1",
    "1.2.3", "1.2.3.1-SNAPSHOT", "1.2.3.1", "1.2.3.10", "1.2.10", "1.10.0", "2.0.0-beta1", "2.0.0",
]  # fmt: skip


@pytest.mark.parametrize(
    "text", [*IN_ORDER, "2147483647.2147483647.2147483647.2147483647", "01.2.3", "1.2.3-rc0"]
)
def test_what_a_gateway_installs_is_read_and_written_unchanged(text: str) -> None:
    assert str(ModuleVersion.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "1.2", "1.2.3.4.5", "1.0.0-alpha.1", "1.0.0-alpha1", "1.2.3-rc", "1.2.3-beta",
        "1.2.3-SNAPSHOT1", "1.2.3-snapshot", "1.2.3-RC1", "1.2.3+build", "v1.2.3", " 1.2.3",
        "1.2.3\n", "1.2.3 ", "-1.2.3", "1..3", "1.2.3-", "DEV", "dev1", "0.1.0-PROOF-OF-CONCEPT",
        "١.٢.٣", "1.2.³", "1.2.3-rc1-SNAPSHOT", "2147483648.0.0", "1.2.9999999999",
        "1.2.3-rc2147483648", "1" * 5000 + ".0.0", "\x1b[31m",
    ],
)  # fmt: skip
def test_anything_else_is_rejected_with_the_grammar_in_the_hint(text: str) -> None:
    with pytest.raises(VersionSyntaxError) as caught:
        ModuleVersion.parse(text)
    assert isinstance(caught.value, ConfigurationError)
    assert caught.value.hint
    assert len(caught.value.message) < 250
    assert "\x1b" not in caught.value.message


def test_versions_are_ordered_by_number_then_stage() -> None:
    versions = [ModuleVersion.parse(text) for text in IN_ORDER]
    shuffled = random.Random(1).sample(versions, len(versions))
    assert [str(version) for version in sorted(shuffled)] == IN_ORDER


def test_a_missing_build_number_is_zero() -> None:
    short, long = ModuleVersion.parse("1.2.3"), ModuleVersion.parse("1.2.3.0")
    assert short == long
    assert hash(short) == hash(long)
    assert short != ModuleVersion.parse("1.2.3-rc1")
    assert short != "1.2.3"


def test_stages_make_a_prerelease() -> None:
    assert [ModuleVersion.parse(text).is_prerelease for text in ("1.2.3", "1.2.3-rc1", "dev")] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("v1.4.2", "1.4.2"),
        ("V1.4.2-rc1", "1.4.2-rc1"),
        ("refs/tags/v1.4.2", "1.4.2"),
        ("refs/tags/1.4.2", "1.4.2"),
        *((text, text) for text in ("1.4.2", "dev", "", "vv1.4.2", "v1.4", "v1", "pump-v1.4.2")),
        *((text, text) for text in ("v1.4.2\n", "refs/heads/v1.4.2", ">=1.4,<2")),
    ],
)
def test_a_version_may_be_written_as_its_tag(text: str, version: str) -> None:
    assert plain_version(text) == version


def test_a_tag_in_place_of_a_version_is_named_as_such() -> None:
    with pytest.raises(VersionSyntaxError) as caught:
        ModuleVersion.parse("v1.4.2")
    assert caught.value.hint == "write 1.4.2: the prefix belongs to git tags only."
