"""Find modules in a repository: by text, name, version, or Ignition version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.module.ignition import newest_of_line, runs_on
from ign_deploy.module.parallel import iterate_parallel
from ign_deploy.module.version import ModuleVersion
from ign_deploy.repositories import CatalogueEntry, Repository
from ign_deploy.repositories.versions import VersionRange, is_range, newest

_SEE_ALL = "see what there is with `ign-deploy list-modules`."
_WORKERS = 8


@dataclass(frozen=True, slots=True)
class ListFilter:
    """Which modules and versions to list.

    ``search`` is text in id, name, description or tags, whatever its case; ``ignition`` a gateway's
    version (``8.3`` or ``8.3.4``) that must be able to run it; without ``every_version`` it is the
    newest of each module.
    """

    search: str = ""
    ignition: str = ""
    every_version: bool = False
    include_yanked: bool = False


def list_modules(
    repository: Repository, selected: ListFilter | None = None
) -> tuple[CatalogueEntry, ...]:
    """Return the matching entries by id, each module's versions newest first.

    Raises ConfigurationError for an invalid Ignition version.
    """
    return tuple(chain.from_iterable(iterate_modules(repository, selected)))


def iterate_modules(
    repository: Repository, selected: ListFilter | None = None
) -> Iterator[Sequence[CatalogueEntry]]:
    """Yield what ``list_modules`` returns, module by module, while others are still to be read."""
    what = selected or ListFilter()
    gateway = newest_of_line(what.ignition) if what.ignition else None
    text = what.search.strip().casefold()
    modules = [entry for entry in repository.catalogue() if _matches(entry, text)]
    if gateway is None and not what.every_version:
        shown = [entry for entry in modules if what.include_yanked or entry.yanked is None]
        yield shown
        return
    for history in iterate_parallel(
        lambda entry: repository.catalogue(entry.id), modules, workers=_WORKERS
    ):
        versions = [
            entry
            for entry in history
            if (what.include_yanked or entry.yanked is None)
            and (gateway is None or _runs_on(entry, gateway))
        ]
        yield versions if what.every_version else _newest_alone(versions)


def _runs_on(entry: CatalogueEntry, gateway: ModuleVersion) -> bool:
    return runs_on(entry.requires_ignition, gateway, maximum=entry.max_ignition)


def _newest_alone(entries: Sequence[CatalogueEntry]) -> list[CatalogueEntry]:
    version = newest(entry.version for entry in entries)
    return [entry for entry in entries if entry.version == version]


def _matches(entry: CatalogueEntry, wanted: str) -> bool:
    texts = (entry.id, entry.name, entry.description, *entry.tags)
    return any(wanted in text.casefold() for text in texts)


def find_module(repository: Repository, *, name: str) -> CatalogueEntry:
    """Return the module with that id, else with that id or name in any letter case.

    Raises NotInRepository with similar names, ConfigurationError if several share the name.
    """
    entries = repository.catalogue()
    found = [entry for entry in entries if entry.id == name]
    wanted = name.casefold()
    if not found:
        found = [
            entry for entry in entries if wanted in (entry.id.casefold(), entry.name.casefold())
        ]
    if not found:
        raise NotInRepository(
            f"the repository has no module {name!r}{_near(wanted, entries)}", hint=_SEE_ALL
        )
    if len(found) > 1:
        raise ConfigurationError(
            f"several modules share the name {name!r}: {', '.join(entry.id for entry in found)}",
            hint="give the module's id.",
        )
    return found[0]


def choose_version(
    repository: Repository, *, module_id: str, wanted: str | None, ignition: str = ""
) -> str:
    """Return the requested version, the newest in a range, or the newest.

    ``ignition`` is the version or line of a gateway that must be able to run it, unless an exact
    version is requested. A final release is preferred to a prerelease; a yanked version must be
    requested exactly. Raises NotInRepository, naming the newest versions.
    """
    entries = repository.catalogue(module_id)
    if wanted is not None and not is_range(wanted):
        if all(entry.version != wanted for entry in entries):
            raise NotInRepository(
                f"{module_id} has no version {wanted!r}; the newest are {_newest_few(entries)}",
                hint="choose one of these, or publish the version first.",
            )
        return wanted
    if ignition:
        entries = _require_suitable(entries, ignition, module_id=module_id)
    candidates = [entry.version for entry in entries if entry.yanked is None]
    found = newest(candidates) if wanted is None else VersionRange.parse(wanted).pick(candidates)
    if found is not None:
        return found
    if candidates and wanted is not None:
        raise NotInRepository(
            f"{module_id} has no version in the range {wanted!r}; the newest are "
            f"{_newest_few(entries)}",
            hint="widen the range, or publish such a version first.",
        )
    raise NotInRepository(
        f"{module_id!r} has no version to install: all of its versions are yanked",
        hint="give an exact version.",
    )


def _require_suitable(
    entries: tuple[CatalogueEntry, ...], ignition: str, *, module_id: str
) -> tuple[CatalogueEntry, ...]:
    """Return the versions that a gateway can run; raises NotInRepository if there are none."""
    gateway = newest_of_line(ignition)
    suitable = tuple(entry for entry in entries if _runs_on(entry, gateway))
    if not suitable:
        raise NotInRepository(
            f"{module_id} has no version for Ignition {ignition}; the newest are "
            f"{_newest_few(entries)}",
            hint=_SEE_ALL,
        )
    return suitable


def _newest_few(entries: Sequence[CatalogueEntry]) -> str:
    return ", ".join(entry.version for entry in entries[:5]) or "none"


def _near(wanted: str, entries: tuple[CatalogueEntry, ...]) -> str:
    from difflib import get_close_matches

    spellings = {entry.name.casefold(): entry.id for entry in entries}
    spellings |= {entry.id.rpartition(".")[2].casefold(): entry.id for entry in entries}
    spellings |= {entry.id.casefold(): entry.id for entry in entries}
    near = dict.fromkeys(
        spellings[spelling] for spelling in get_close_matches(wanted, spellings, n=5, cutoff=0.6)
    )
    return f"; similar: {', '.join(near)}" if near else ""
