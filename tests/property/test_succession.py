"""The reader of statements never fails otherwise than it says, and no changed byte counts."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from ign_deploy.errors import VerificationError
from ign_deploy.report import SilentReporter
from ign_deploy.signing.succession import make_statement, parse_statement
from tests.support.signing import NOW, vendor

SOUND = make_statement(
    ["com.example.pump"],
    old=vendor("Vendor A"),
    new=vendor("Vendor B"),
    now=NOW,
    reporter=SilentReporter(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | JSON.map(lambda value: repr(value).encode()))
def test_anything_else_is_rejected_and_nothing_else_happens(data: bytes) -> None:
    with suppress(VerificationError):
        parse_statement(data)
        raise AssertionError(data)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SOUND) - 1), st.integers(1, 255))
def test_a_changed_byte_changes_nothing_that_is_said(position: int, change: int) -> None:
    """It is rejected, or was no part of what is said, such as a blank between two values."""
    data = bytearray(SOUND)
    data[position] ^= change
    with suppress(VerificationError):
        assert parse_statement(bytes(data)) == parse_statement(SOUND)
