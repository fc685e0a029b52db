"""What every rule looks at: a module, read once, and what is expected of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ign_deploy.module.descriptor import Jar, ModuleDescriptor
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME
from ign_deploy.module.jar import JarFacts
from ign_deploy.module.version import ModuleVersion, VersionSyntaxError

_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is expected of the module; None means anything.

    ``signed`` says whether it must or must not be signed (the files, not their validity).
    """

    version: str | None = None
    id: str | None = None
    signed: bool | None = None
    is_release: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A module under validation.

    ``files`` are the archive's entry names without folders, in archive order; ``jars`` holds the
    facts of each listed jar that could be opened, by entry name.
    """

    descriptor: ModuleDescriptor
    files: Mapping[str, None]
    jars: Mapping[str, JarFacts]
    expected: Expectations

    def own_jars(self) -> Iterable[tuple[Jar, JarFacts]]:
        """Return every listed jar that could be opened, with its facts, in listed order."""
        return ((jar, self.jars[jar.path]) for jar in self.descriptor.jars if jar.path in self.jars)


def element(name: str) -> str:
    """Return the location of a finding about an element of module.xml."""
    return f"{DESCRIPTOR_NAME}: {name}"


def quoted(text: str) -> str:
    """Quote untrusted text for a message: at most 100 characters, control characters escaped."""
    return repr(text if len(text) <= _SHOWN else text[:_SHOWN] + "…")


def parsed_version(text: str) -> ModuleVersion | None:
    """Return the version, None when a gateway can't install it."""
    try:
        return ModuleVersion.parse(text)
    except VersionSyntaxError:
        return None


def same_version(first: str, second: str) -> bool:
    """Return whether two versions are the same, however written (``1.2.3``, ``1.2.3.0``)."""
    if first == second:
        return True
    left, right = parsed_version(first), parsed_version(second)
    return left is not None and left == right
