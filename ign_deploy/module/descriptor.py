"""module.xml: a module's description of itself, read as leniently as a gateway reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ign_deploy.module.descriptor_xml import (
    DESCRIPTOR_NAME,
    MAX_DESCRIPTOR_SIZE,
    Node,
    ambiguity,
    descriptor_error,
    parse_descriptor_xml,
)

if TYPE_CHECKING:
    from ign_deploy.errors import VerificationError
    from ign_deploy.module.archive import Archive

# Which of gateway, designer and client a hook, a jar or a dependency is for.
SCOPES = {"G": "gateway", "D": "designer", "C": "client"}
ALL = "A"


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

    ``version`` is as written: see ``ModuleVersion.parse``. ``unknown`` names the elements that we
    don't know.
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
_LISTS = frozenset({"hook", "jar", "depends", "require", "export"})
_SINGLE = frozenset({*_TEXTS, "freemodule"})
_KNOWN = _SINGLE | _LISTS | {"module"}
# For people to read; no gateway compares them with anything.
_PROSE = frozenset({"name", "description", "vendorname", "vendorcontactinfo"})


def parse_descriptors(data: bytes) -> tuple[ModuleDescriptor, ...]:
    """Read every ``<module>`` of a module.xml.

    Element names are matched whatever their case: Maven builds write them in lower case. Raises
    VerificationError for XML that isn't sound, and for values that depend on how they are looked
    for: the first or the last of two, inside other elements, divided by comments.
    """
    root = parse_descriptor_xml(data)
    modules = [root] if root.name == "module" else [n for n in root.children if n.name == "module"]
    _require_in_place(root, modules)
    return tuple(_parse_module(module) for module in modules)


def scope_letters(text: str) -> frozenset[str]:
    """Return the letters of G, D, C that ``text`` covers; ``A`` covers all, others are ignored.

    ``text`` is a ``scope`` attribute as written, such as ``GD`` or ``A``.
    """
    if ALL in text:
        return frozenset(SCOPES)
    return frozenset(text) & SCOPES.keys()


def scope_names(letters: frozenset[str]) -> str:
    """Return the names for people: ``gateway, client``."""
    return ", ".join(name for letter, name in SCOPES.items() if letter in letters)


def _require_in_place(root: Node, modules: list[Node]) -> None:
    """Refuse known elements that aren't directly in a module: some readers find them there."""
    in_place = {id(child) for module in modules for child in module.children}
    in_place |= {id(module) for module in modules}
    for node in (root, *root.descendants()):
        if node.name in _KNOWN and id(node) not in in_place:
            raise ambiguity(f"<{node.tag}> is not where it belongs")


def read_descriptor(archive: Archive) -> ModuleDescriptor:
    """Return the one descriptor of an archive; raises VerificationError for none or several."""
    entry = archive.entry(DESCRIPTOR_NAME)
    if entry is None:
        raise _missing_descriptor(archive)
    descriptors = parse_descriptors(archive.read(entry, limit=MAX_DESCRIPTOR_SIZE))
    if len(descriptors) != 1:
        raise descriptor_error(
            "descriptor-count",
            f"{archive.path.name}: module.xml describes {len(descriptors)} modules, expected one",
            "build one .modl per module.",
        )
    return descriptors[0]


def _missing_descriptor(archive: Archive) -> VerificationError:
    name = archive.path.name
    similar = [each.name for each in archive.entries if each.name.lower() == DESCRIPTOR_NAME]
    if similar:
        return descriptor_error(
            "descriptor-missing",
            f"{name} has {similar[0]}, but no module.xml at its root: letter case matters",
            "make the build write module.xml.",
        )
    return descriptor_error(
        "descriptor-missing",
        f"{name} has no module.xml at its root, so it is not an Ignition module",
        "check that the file is the built module, not a bundle or a jar.",
    )


def _parse_module(module: Node) -> ModuleDescriptor:
    children = list(module.children)
    for child in children:
        if child.name in _KNOWN - _PROSE and not child.is_plain:
            raise ambiguity(f"<{child.tag}> holds more than plain text")
    single: dict[str, str] = {}
    for child in children:
        if child.name in _SINGLE:
            if child.name in single:
                raise descriptor_error(
                    "element-repeated",
                    f"module.xml has <{child.tag}> more than once",
                    "keep one of them.",
                )
            single[child.name] = child.text
    return ModuleDescriptor(
        **{_TEXTS[name]: text for name, text in single.items() if name in _TEXTS},
        free_module=_is_true(single.get("freemodule", "")),
        hooks=tuple(Hook(_scope(node), node.text) for node in children if node.name == "hook"),
        jars=tuple(
            Jar(_scope(node), node.text, node.attributes.get("os", "").strip())
            for node in children
            if node.name == "jar"
        ),
        depends=tuple(_parse_dependency(node) for node in children if node.name == "depends"),
        requires=tuple(node.text for node in children if node.name == "require"),
        exports=tuple(node.text for node in children if node.name == "export"),
        unknown=tuple(node.tag for node in children if node.name not in _KNOWN),
    )


def _scope(node: Node) -> str:
    return node.attributes.get("scope", "").strip()


def _parse_dependency(node: Node) -> Dependency:
    required = node.attributes.get("required")
    return Dependency(
        node.text, _scope(node), None if required is None else _is_true(required.strip())
    )


def _is_true(text: str) -> bool:
    return text.lower() == "true"
