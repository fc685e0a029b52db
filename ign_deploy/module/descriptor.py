"""module.xml: what a module says of itself, read as the gateway and its many writers do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ign_deploy.errors import VerificationError
from ign_deploy.module.findings import error

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from ign_deploy.module.archive import Archive

DESCRIPTOR_NAME = "module.xml"
# Real ones have a few kilobytes; ten megabytes of text are an attack or a mistake.
MAX_DESCRIPTOR_SIZE = 1 << 20

_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([^"'>]*)""")
# Python would take any codec of its own, such as unicode_escape, which no Java knows.
_ENCODINGS = re.compile(
    rb"utf-?8|utf-?16(?:-?[lb]e)?|(?:us-)?ascii|iso-8859-[0-9]{1,2}|(?:windows-|cp)125[0-8]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Hook:
    """A hook class and the scopes (letters of G, D, C, A) it is for."""

    scope: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Jar:
    """A jar of the module, its scopes and, rarely, the operating system it is for."""

    scope: str
    path: str
    os: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A module that must be installed; ``required`` is None where the attribute is absent."""

    module_id: str
    scope: str
    required: bool | None = None


@dataclass(frozen=True, slots=True)
class ModuleDescriptor:
    """One ``<module>`` element. Texts are stripped; what is absent is empty.

    ``version`` stands as written: see ``ModuleVersion.parse``. ``unknown`` names the elements that
    no rule of ours knows, and ``repeated`` those that stand more than once but must not.
    """

    id: str = ""
    name: str = ""
    version: str = ""
    description: str = ""
    license: str = ""
    documentation: str = ""
    required_ignition_version: str = ""
    required_framework_version: str = ""
    free_module: bool = False
    vendor_name: str = ""
    vendor_id: str = ""
    vendor_contact: str = ""
    hooks: tuple[Hook, ...] = ()
    jars: tuple[Jar, ...] = ()
    depends: tuple[Dependency, ...] = ()
    requires: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


_TEXTS = {
    "id": "id",
    "name": "name",
    "version": "version",
    "description": "description",
    "license": "license",
    "documentation": "documentation",
    "requiredignitionversion": "required_ignition_version",
    "requiredframeworkversion": "required_framework_version",
    "vendorname": "vendor_name",
    "vendorid": "vendor_id",
    "vendorcontactinfo": "vendor_contact",
}
_LISTS = frozenset({"hook", "jar", "depends", "require", "export", "freemodule"})


def parse_descriptors(data: bytes) -> tuple[ModuleDescriptor, ...]:
    """Read every ``<module>`` of a module.xml.

    Element names are matched whatever their case: Maven builds write them in lower case. Raises
    VerificationError for XML that isn't well-formed, has a DTD or entities, or is too large.
    """
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    if len(data) > MAX_DESCRIPTOR_SIZE:
        raise _refusal(
            "descriptor-too-large",
            f"module.xml has {len(data)} bytes, at most {MAX_DESCRIPTOR_SIZE} are read",
            "put only the module's description into it.",
        )
    declared = _DECLARED.match(data.removeprefix(b"\xef\xbb\xbf"))
    if declared is not None and not _ENCODINGS.fullmatch(declared[1]):
        raise _refusal(
            "descriptor-xml",
            f"module.xml has the encoding {ascii(declared[1][:40])[1:]}, which may not be readable",
            "write it in UTF-8.",
        )
    try:
        root = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as cause:
        raise _refusal(
            "descriptor-dtd",
            "module.xml has a DTD or entities, which can read files and exhaust memory",
            "remove the <!DOCTYPE …> and write the values out.",
        ) from cause
    except (ParseError, ValueError, LookupError) as cause:
        # ValueError and LookupError: an encoding that the parser doesn't know.
        raise _refusal(
            "descriptor-xml",
            f"module.xml isn't well-formed: {cause}",
            "mend the build's module.xml.",
        ) from cause
    if _local_name(root) == "module":
        return (_parse_module(root),)
    return tuple(
        _parse_module(child) for child in _children(root) if _local_name(child) == "module"
    )


def read_descriptor(archive: Archive) -> ModuleDescriptor:
    """Return the one descriptor of an archive; raises VerificationError for none or several."""
    entry = archive.entry(DESCRIPTOR_NAME)
    if entry is None:
        raise _refusal(
            "descriptor-missing",
            f"{archive.path.name} has no module.xml at its root, so it is no Ignition module",
            "check that the file is the built module, not a bundle or a jar.",
        )
    descriptors = parse_descriptors(archive.read(entry, limit=MAX_DESCRIPTOR_SIZE))
    if len(descriptors) != 1:
        raise _refusal(
            "descriptor-count",
            f"{archive.path.name}: module.xml describes {len(descriptors)} modules, expected one",
            "make one .modl per module.",
        )
    return descriptors[0]


def _refusal(code: str, message: str, hint: str) -> VerificationError:
    finding = error(code, message, location=DESCRIPTOR_NAME, hint=hint)
    return VerificationError.from_findings(finding)


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""


def _children(element: Element) -> Iterator[Element]:
    return (child for child in element if _local_name(child))


def _text(element: Element) -> str:
    return "".join(element.itertext()).strip()


def _attribute(element: Element, name: str) -> str | None:
    for key, value in element.attrib.items():
        if key.lower() == name:
            return value.strip()
    return None


def _parse_module(module: Element) -> ModuleDescriptor:
    children = [(_local_name(child), child) for child in _children(module)]
    texts: dict[str, str] = {}
    repeated: list[str] = []
    for name, child in children:
        if name in _TEXTS:
            if _TEXTS[name] in texts:
                repeated.append(name)
            texts.setdefault(_TEXTS[name], _text(child))
    return ModuleDescriptor(
        **texts,
        free_module=any(
            name == "freemodule" and _is_true(_text(child)) for name, child in children
        ),
        hooks=tuple(
            Hook(_attribute(child, "scope") or "", _text(child))
            for name, child in children
            if name == "hook"
        ),
        jars=tuple(
            Jar(_attribute(child, "scope") or "", _text(child), _attribute(child, "os") or "")
            for name, child in children
            if name == "jar"
        ),
        depends=tuple(_parse_dependency(child) for name, child in children if name == "depends"),
        requires=tuple(_text(child) for name, child in children if name == "require"),
        exports=tuple(_text(child) for name, child in children if name == "export"),
        unknown=tuple(
            child.tag.rpartition("}")[2]
            for name, child in children
            if name not in _TEXTS and name not in _LISTS
        ),
        repeated=tuple(repeated),
    )


def _parse_dependency(element: Element) -> Dependency:
    required = _attribute(element, "required")
    return Dependency(
        _text(element),
        _attribute(element, "scope") or "",
        None if required is None else _is_true(required),
    )


def _is_true(text: str) -> bool:
    return text.lower() == "true"
