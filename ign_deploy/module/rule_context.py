"""What every rule looks at: a module, read once, and what is expected of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ign_deploy.module.descriptor import Jar, ModuleDescriptor
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME
from ign_deploy.module.jar import JarFacts


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
class RuleContext:
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
