"""Version ranges."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import ConfigurationError
from ign_deploy.repositories.versions import VersionRange, is_range


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.2,<2", ["1.2.0", "1.2.0.0", "1.9.9", "1.2.1-rc1"], ["1.1.9", "2.0.0", "1.2.0-rc1"]),
        ("<2", ["1.9.9", "2.0.0-rc1"][:1], ["2.0.0", "2.0.0-rc1", "2.0.0-SNAPSHOT"]),
        ("<=2", ["2.0.0", "2.0.0-rc1"], ["2.0.1"]),
        ("==1.2.3", ["1.2.3", "1.2.3.0"], ["1.2.3.1"]),
        ("!=1.2.3", ["1.2.4"], ["1.2.3"]),
        (">=v1.2, <V2.0.0", ["1.2.0"], ["1.1.9", "2.0.0"]),
        (" > 1.0 , < 1.1 ", ["1.0.1"], ["1.0.0", "1.1.0"]),
    ],
)
def test_a_range_holds_what_fulfils_every_condition(
    text: str, inside: list[str], outside: list[str]
) -> None:
    wanted = VersionRange.parse(text)
    assert [version for version in inside if not wanted.holds(version)] == []
    assert [version for version in outside if wanted.holds(version)] == []


def test_a_final_release_is_picked_before_a_newer_prerelease() -> None:
    assert VersionRange.parse(">=1").pick(["1.0.0", "1.1.0", "1.2.0-rc1"]) == "1.1.0"
    assert VersionRange.parse(">=1.1.1").pick(["1.0.0", "1.1.0", "1.2.0-rc1"]) == "1.2.0-rc1"
    assert VersionRange.parse(">=2").pick(["1.0.0"]) is None


def test_what_no_gateway_could_install_is_in_no_range() -> None:
    assert not VersionRange.parse(">=0.0").holds("latest")


@pytest.mark.parametrize(
    "text", ["", ",", ">=", "1.2", ">=1.2,", "~=1.2", ">=1.2 <2", ">=1.2.3-alpha", ">=1;"]
)
def test_what_is_no_range_is_rejected_with_an_example(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        VersionRange.parse(text)
    assert caught.value.hint


def test_a_plain_version_is_no_range() -> None:
    assert not is_range("1.2.3-rc1")
    assert is_range(">=1.2,<2")


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ConfigurationError):
        VersionRange.parse(text).holds("1.0.0")
