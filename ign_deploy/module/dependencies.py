"""The order of several modules by what their module.xml says they depend on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Self

from ign_deploy.errors import VerificationError
from ign_deploy.module.descriptor import ModuleDescriptor
from ign_deploy.module.findings import Finding, error


@dataclass(frozen=True, slots=True)
class Needs:
    """The ids of the modules that a module depends on; it also works without ``optional`` ones."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()

    @classmethod
    def of(cls, descriptor: ModuleDescriptor) -> Self:
        """Return what a module.xml says: without ``required``, the dependency is required."""
        ids = {each.module_id for each in descriptor.depends} - {descriptor.id}
        required = {each.module_id for each in descriptor.depends if each.required is not False}
        return cls(frozenset(required & ids), frozenset(ids - required))


def repeated_id(module_id: str, first: Path, second: Path, *, action: str) -> Finding:
    """Return the finding about two paths with modules of one id, of which none can be chosen."""
    return error(
        "module-id-repeated",
        f"{first} and {second} share the id {module_id!r}",
        location=str(second),
        hint=f"give each module its own id, or {action} only one of them; if they are one module "
        f"for two lines of Ignition, give each its own version and {action} them one by one.",
    )


def dependency_order(needs: Mapping[str, Needs]) -> Sequence[str]:
    """Return the ids so that each comes after those it depends on, otherwise in the given order.

    Dependencies that aren't among the ids are ignored, and so are optional ones that would close a
    circle. Raises VerificationError that names a circle of required dependencies.
    """
    everything = {name: each.required | each.optional for name, each in needs.items()}
    try:
        return _sorted(everything)
    except CycleError:
        pass
    try:
        return _sorted({name: each.required for name, each in needs.items()})
    except CycleError as cause:
        # Each of these needs the next one: graphlib lists them the other way round.
        circle = " → ".join(reversed(cause.args[1]))
        finding = error(
            "dependency-cycle",
            f"the modules depend on each other in a circle: {circle}",
            hint="fix <depends> in one of them; no installation order would work.",
        )
        raise VerificationError.from_findings(finding) from cause


def _sorted(needed: Mapping[str, Iterable[str]]) -> list[str]:
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for name, others in needed.items():
        sorter.add(name, *sorted(other for other in others if other in needed))
    sorter.prepare()
    position = {name: number for number, name in enumerate(needed)}
    order: list[str] = []
    ready: set[str] = set()
    while sorter.is_active():
        ready.update(sorter.get_ready())
        first = min(ready, key=position.__getitem__)
        ready.remove(first)
        order.append(first)
        sorter.done(first)
    return order
