"""Properties: everything written is read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.module.properties import (
    PropertiesSyntaxError,
    format_properties,
    parse_properties,
)
from ign_deploy.module.signature import format_signatures, parse_signatures

PAIRS = st.lists(st.tuples(st.text(), st.text()))
NAMES = st.text(min_size=1).filter(
    lambda name: name not in {"signatures.properties", "certificates.p7b"}
)


@given(PAIRS)
def test_a_round_trip_keeps_every_pair_in_order(pairs: list[tuple[str, str]]) -> None:
    assert list(parse_properties(format_properties(pairs))) == pairs


@given(PAIRS)
def test_carriage_returns_change_nothing(pairs: list[tuple[str, str]]) -> None:
    data = format_properties(pairs)
    assert parse_properties(data.replace(b"\n", b"\r\n")) == parse_properties(data)
    assert parse_properties(data.replace(b"\n", b"\r")) == parse_properties(data)


@given(PAIRS)
def test_written_files_are_printable_ascii_lines(pairs: list[tuple[str, str]]) -> None:
    data = format_properties(pairs)
    assert data.count(b"\n") == len(pairs)
    assert all(0x20 <= byte <= 0x7E or byte == 0x0A for byte in data)


@given(st.dictionaries(NAMES, st.binary()))
def test_signature_lines_survive(signatures: dict[str, bytes]) -> None:
    lines = parse_signatures(format_signatures(signatures))
    assert lines.signatures == signatures
    assert lines.findings == ()


@given(st.binary() | st.text(alphabet="ab\\u0=: \n\r#!").map(str.encode))
def test_any_bytes_are_read_or_rejected(data: bytes) -> None:
    try:
        pairs = parse_properties(data)
    except PropertiesSyntaxError:
        return
    assert list(parse_properties(format_properties(pairs))) == list(pairs)
