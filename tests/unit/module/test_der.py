"""The ASN.1 reader and writer."""

from __future__ import annotations

import pytest

from ign_deploy.module import der


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 65_535, 65_536])
def test_what_is_written_is_read_again_at_every_length_form(size: int) -> None:
    data = der.encode_element(der.OCTET_STRING, b"x" * size)
    element = der.read_only_element(data)
    assert (element.tag, element.content, element.raw) == (der.OCTET_STRING, b"x" * size, data)


@pytest.mark.parametrize(
    ("dotted", "encoded"),
    [
        ("1.2.840.113549.1.7.2", "06092a864886f70d010702"),
        ("2.5.4.3", "0603550403"),
        ("2.999.3", "0603883703"),
        ("0.9.2342.19200300.100.1.25", "060a0992268993f22c640119"),
    ],
)
def test_object_identifiers_in_both_directions(dotted: str, encoded: str) -> None:
    assert der.encode_object_identifier(dotted).hex() == encoded
    assert der.object_identifier(der.read_element(bytes.fromhex(encoded))) == dotted


def test_indefinite_lengths_are_read() -> None:
    outer = der.read_only_element(bytes.fromhex("3080 3080 020101 0000 020102 0000"))
    first, second = der.children(outer, tag=der.SEQUENCE)
    assert [each.content for each in der.children(first)] == [b"\x01"]
    assert second.content == b"\x02"


def test_an_octet_string_in_pieces_is_joined() -> None:
    element = der.read_only_element(bytes.fromhex("2480 0401aa 0402bbcc 0000"))
    assert der.octets(element) == b"\xaa\xbb\xcc"


@pytest.mark.parametrize(
    "broken",
    [
        "",
        "30",
        "3005020101",
        "30850000000001",
        "3080020101",
        "30800201010000ff",
        "3080020101000",
        "0480aabb0000",
        "1f8101",
        "3082",
    ],
)
def test_broken_structures_are_rejected(broken: str) -> None:
    data = bytes.fromhex(broken if len(broken) % 2 == 0 else broken[:-1])
    with pytest.raises(der.DerError):
        der.read_only_element(data)


def test_deep_nesting_is_rejected_rather_than_recursed_into() -> None:
    with pytest.raises(der.DerError, match="nested"):
        der.read_element(b"\x30\x80" * 100_000)


def test_the_content_of_a_primitive_is_not_taken_apart() -> None:
    with pytest.raises(der.DerError):
        der.children(der.read_element(bytes.fromhex("0403020101")))


def test_a_wrong_tag_is_named() -> None:
    with pytest.raises(der.DerError, match="0x31 where 0x30"):
        der.children(der.read_element(bytes.fromhex("3100")), tag=der.SEQUENCE)


@pytest.mark.parametrize("broken", ["0600", "06022a86", "020101"])
def test_broken_object_identifiers_are_rejected(broken: str) -> None:
    with pytest.raises(der.DerError):
        der.object_identifier(der.read_element(bytes.fromhex(broken)))


def test_an_element_never_shows_its_bytes() -> None:
    assert "secret" not in repr(der.read_element(b"\x04\x06secret"))
