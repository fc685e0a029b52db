"""module.xml as XML: a small tree, or an error where readers could disagree."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from ign_deploy.errors import VerificationError
from ign_deploy.module.findings import error

DESCRIPTOR_NAME = "module.xml"
# Real ones have a few kilobytes; ten megabytes of text are an attack or a mistake.
MAX_DESCRIPTOR_SIZE = 1 << 20
# Real ones have three levels and some hundred elements.
MAX_DEPTH = 32
MAX_ELEMENTS = 10_000

# Python would take any codec of its own, such as unicode_escape, which no Java knows, or tis-620,
# in which some bytes mean other characters there.
_WIDE = r"utf-?16(?:-?[lb]e)?"
_ENCODINGS = re.compile(
    rf"utf-?8|{_WIDE}|(?:us-)?ascii|iso-8859-(?:[1-9]|13|15)|(?:windows-|cp)125[0-8]",
    re.IGNORECASE,
)
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
# What Java's String.trim removes; Python's strip also removes spaces such as U+00A0.
_BLANKS = "".join(map(chr, range(0x21)))


@dataclass(slots=True)
class Node:
    """An element: its name as written, attributes by lower-case name, texts and child elements."""

    tag: str
    attributes: dict[str, str]
    pieces: list[str | Node] = field(default_factory=list)
    has_markup: bool = False

    @property
    def name(self) -> str:
        """The name in lower case, for comparison."""
        return self.tag.lower()

    @property
    def children(self) -> Iterator[Node]:
        """The child elements in order."""
        return (piece for piece in self.pieces if isinstance(piece, Node))

    @property
    def text(self) -> str:
        """All text inside, including that of child elements, without surrounding blanks."""
        return self._whole_text().strip(_BLANKS)

    @property
    def is_plain(self) -> bool:
        """Whether the text is one piece, so that every reader gets the same."""
        whole = self._whole_text()
        is_one = not self.has_markup and len(self.pieces) <= 1 and not any(self.children)
        return is_one and whole.strip() == whole.strip(_BLANKS)

    def descendants(self) -> Iterator[Node]:
        """Yield every element inside, at any depth."""
        for child in self.children:
            yield child
            yield from child.descendants()

    def _whole_text(self) -> str:
        return "".join(
            piece if isinstance(piece, str) else piece._whole_text() for piece in self.pieces
        )


def parse_descriptor_xml(data: bytes) -> Node:
    """Return the root element of a module.xml; raises VerificationError.

    It does so for XML that isn't well-formed, has a DTD or entities, or is too large or too deep,
    and for names that readers understand differently: with a prefix, or with letters beyond ASCII,
    some of which equal others when case is ignored (the Kelvin sign and k, a dotless i and i).
    """
    if len(data) > MAX_DESCRIPTOR_SIZE:
        raise descriptor_error(
            "descriptor-too-large",
            f"module.xml has {len(data)} bytes; the limit is {MAX_DESCRIPTOR_SIZE}",
            "keep only the module's description in it.",
        )
    if b"\0" in data[:2]:
        raise descriptor_error(
            "descriptor-xml",
            "module.xml is UTF-16 without a byte order mark, which Java may refuse",
            "save it as UTF-8.",
        )
    return _Builder(is_wide=data[:2] in _BYTE_ORDER_MARKS).build(data)


def descriptor_error(code: str, message: str, hint: str) -> VerificationError:
    """Return the error for an unusable module.xml."""
    finding = error(code, message, location=DESCRIPTOR_NAME, hint=hint)
    return VerificationError.from_findings(finding)


def ambiguity(message: str) -> VerificationError:
    """Return the error for a module.xml that readers could understand differently."""
    return descriptor_error(
        "descriptor-ambiguous",
        f"module.xml is ambiguous: {message}",
        "make the build write plain elements: each once, directly inside <module>, with text only.",
    )


class _Builder:
    """Builds the tree from the events of expat, which reads no file and no address by itself."""

    def __init__(self, *, is_wide: bool) -> None:
        self._is_wide = is_wide
        self._open: list[Node] = [Node("", {})]
        self._count = 0
        self._pieces_before = 0
        self._parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.buffer_size = MAX_DESCRIPTOR_SIZE
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.CommentHandler = parser.ProcessingInstructionHandler = self._markup
        # Setting them ends the piece of text before a CDATA section.
        parser.StartCdataSectionHandler = self._start_cdata
        parser.EndCdataSectionHandler = self._end_cdata
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype

    def build(self, data: bytes) -> Node:
        try:
            self._parser.Parse(data, True)  # noqa: FBT003 - the API's
            # Readers that know namespaces refuse a prefix that isn't declared.
            expat.ParserCreate(namespace_separator=" ").Parse(data, True)  # noqa: FBT003
        except (expat.ExpatError, ValueError, LookupError) as cause:
            # ValueError and LookupError: an encoding that the parser doesn't know.
            raise descriptor_error(
                "descriptor-xml",
                f"module.xml is not well-formed: {cause}",
                "fix the module.xml that the build writes.",
            ) from cause
        (root,) = self._open[0].children
        return root

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) > MAX_DEPTH:
            raise descriptor_error(
                "descriptor-xml",
                f"module.xml is nested more than {MAX_DEPTH} levels deep",
                "keep only the module's description in it.",
            )
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise descriptor_error(
                "descriptor-xml",
                f"module.xml has more than {MAX_ELEMENTS} elements",
                "keep only the module's description in it.",
            )
        if ":" in name or not name.isascii():
            raise ambiguity(f"the element name {name[:40]!a} has a prefix or is not ASCII")
        lowered = {key.lower(): value for key, value in attributes.items()}
        if len(lowered) < len(attributes):
            raise ambiguity(f"attributes of <{name[:40]}> differ only in case")
        node = Node(name, lowered)
        self._open[-1].pieces.append(node)
        self._open.append(node)

    def _end(self, _: str) -> None:
        self._open.pop()

    def _characters(self, text: str) -> None:
        self._open[-1].pieces.append(text)

    def _markup(self, *_: str) -> None:
        self._open[-1].has_markup = True

    def _start_cdata(self) -> None:
        self._pieces_before = len(self._open[-1].pieces)

    def _end_cdata(self) -> None:
        node = self._open[-1]
        # Java has a node for an empty section, too.
        node.has_markup |= len(node.pieces) == self._pieces_before

    def _declaration(self, version: str, encoding: str | None, _: int) -> None:
        # In XML 1.1, U+0085 and U+2028 are line ends, which this parser doesn't know.
        if version != "1.0":
            raise descriptor_error(
                "descriptor-xml",
                f"module.xml is XML {version[:40]}, which readers understand differently",
                "make the build write XML 1.0.",
            )
        if encoding is None:
            return
        # Declared in two bytes a character, but one byte a character from there on, or reverse.
        is_consistent = bool(re.fullmatch(_WIDE, encoding, re.IGNORECASE)) == self._is_wide
        if not _ENCODINGS.fullmatch(encoding) or not is_consistent:
            raise descriptor_error(
                "descriptor-xml",
                f"module.xml has the encoding {encoding[:40]!a}, which Java may read differently",
                "save it as UTF-8.",
            )

    def _doctype(self, *_: object) -> None:
        raise descriptor_error(
            "descriptor-dtd",
            "module.xml has a DTD or entities, which can read files and exhaust memory",
            "remove the <!DOCTYPE …> and write out the values.",
        )
