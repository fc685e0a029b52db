"""Reading and writing the little ASN.1 (ITU-T X.690) that certificate and key files need.

The reader takes DER and the harmless parts of BER: indefinite lengths, constructed octet strings
and lengths with leading zeros, since real ``.p7b`` and ``.p12`` files have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

INTEGER = 0x02
OCTET_STRING = 0x04
OBJECT_IDENTIFIER = 0x06
BMP_STRING = 0x1E
SEQUENCE = 0x30
SET = 0x31

_CONSTRUCTED = 0x20
_HIGH_TAG_NUMBER = 0x1F
_LONG_FORM = 0x80
_MAX_LENGTH_OCTETS = 4
_MAX_DEPTH = 32


class DerError(ValueError):
    """The bytes are not the expected ASN.1; callers turn this into an error of their own."""


@dataclass(frozen=True, slots=True, repr=False)
class Element:
    """One tag-length-value: ``source[start:end]``, its content being ``source[inner:inner_end]``.

    The representation never shows the bytes: they may be a private key.
    """

    source: bytes
    tag: int
    start: int
    inner: int
    inner_end: int
    end: int

    @property
    def raw(self) -> bytes:
        """The whole element with its header."""
        return self.source[self.start : self.end]

    @property
    def content(self) -> bytes:
        """The content octets."""
        return self.source[self.inner : self.inner_end]

    def __repr__(self) -> str:
        return f"Element(tag={self.tag:#04x}, bytes {self.start}..{self.end})"


def context(number: int) -> int:
    """Return the identifier octet of a constructed context-specific tag: ``[number]``."""
    return 0xA0 | number


def read_element(data: bytes, offset: int = 0, end: int | None = None) -> Element:
    """Read the element at ``offset``; bytes after it are left alone. Raises DerError."""
    return _read(data, offset, len(data) if end is None else end, depth=0)


def read_only_element(data: bytes) -> Element:
    """Read the element that fills ``data`` completely. Raises DerError."""
    element = read_element(data)
    if element.end != len(data):
        raise DerError(f"{len(data) - element.end} bytes follow the end of the structure")
    return element


def children(element: Element, *, tag: int | None = None) -> list[Element]:
    """Return the elements inside a constructed one; with ``tag``, its own tag must be that."""
    if tag is not None and element.tag != tag:
        raise DerError(f"tag {element.tag:#04x} where {tag:#04x} is expected")
    if not element.tag & _CONSTRUCTED:
        raise DerError(f"tag {element.tag:#04x} is primitive where a structure is expected")
    return list(_elements(element.source, element.inner, element.inner_end, depth=0))


def octets(element: Element) -> bytes:
    """Return the value of an octet string, also of one that BER has split into pieces."""
    if element.tag == OCTET_STRING:
        return element.content
    pieces = children(element, tag=OCTET_STRING | _CONSTRUCTED)
    if any(piece.tag != OCTET_STRING for piece in pieces):
        raise DerError("a constructed octet string contains something other than octet strings")
    return b"".join(piece.content for piece in pieces)


def object_identifier(element: Element) -> str:
    """Return an OBJECT IDENTIFIER in dotted form (X.690, 8.19)."""
    if element.tag != OBJECT_IDENTIFIER or not element.content:
        raise DerError(f"tag {element.tag:#04x} where an object identifier is expected")
    if element.content[-1] & 0x80:
        raise DerError("an object identifier ends in the middle of a number")
    numbers = [0]
    for octet in element.content:
        numbers[-1] = numbers[-1] << 7 | octet & 0x7F
        if not octet & 0x80:
            numbers.append(0)
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, [first, numbers[0] - 40 * first, *numbers[1:-1]]))


def encode_element(tag: int, *parts: bytes) -> bytes:
    """Return the DER of one element whose content is the joined parts."""
    content = b"".join(parts)
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(length))) + length + content


def encode_object_identifier(dotted: str) -> bytes:
    """Return the DER of an OBJECT IDENTIFIER."""
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for number in (first * 40 + second, *rest):
        septets = [number & 0x7F]
        while number := number >> 7:
            septets.append(number & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return encode_element(OBJECT_IDENTIFIER, content)


def _read(data: bytes, offset: int, end: int, *, depth: int) -> Element:
    if depth > _MAX_DEPTH:
        raise DerError(f"structures are nested more than {_MAX_DEPTH} deep")
    if offset + 2 > end:
        raise DerError(f"the structure ends early, at byte {end}")
    tag = data[offset]
    if tag & _HIGH_TAG_NUMBER == _HIGH_TAG_NUMBER:
        raise DerError(f"unexpected tag {tag:#04x} at byte {offset}")
    inner = offset + 2
    length = data[offset + 1]
    if length == _LONG_FORM:
        return _read_indefinite(data, offset, end, depth=depth)
    if length > _LONG_FORM:
        octet_count = length - _LONG_FORM
        if octet_count > _MAX_LENGTH_OCTETS or inner + octet_count > end:
            raise DerError(f"impossible length at byte {offset}")
        length = int.from_bytes(data[inner : inner + octet_count], "big")
        inner += octet_count
    if inner + length > end:
        raise DerError(
            f"{length} bytes declared at byte {offset}, but only {end - inner} are there"
        )
    return Element(data, tag, offset, inner, inner + length, inner + length)


def _read_indefinite(data: bytes, offset: int, end: int, *, depth: int) -> Element:
    """Read an element of indefinite length: up to its end-of-contents octets (X.690, 8.1.5)."""
    tag = data[offset]
    if not tag & _CONSTRUCTED:
        raise DerError(f"indefinite length of a primitive at byte {offset}")
    position = offset + 2
    while data[position : position + 2] != b"\0\0":
        position = _read(data, position, end, depth=depth + 1).end
    if position + 2 > end:
        raise DerError(f"the structure ends early, at byte {end}")
    return Element(data, tag, offset, offset + 2, position, position + 2)


def _elements(data: bytes, offset: int, end: int, *, depth: int) -> Iterator[Element]:
    while offset < end:
        element = _read(data, offset, end, depth=depth)
        yield element
        offset = element.end
