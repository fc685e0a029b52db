"""Finding modules in a repository: search by text, and by the name that a person types."""

from __future__ import annotations

from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.repositories import CatalogueEntry, Repository
from ign_deploy.repositories.ordering import newest

_SEE_ALL = "see what there is with `ign-deploy list-modules`."


def list_modules(repository: Repository, *, search: str = "") -> tuple[CatalogueEntry, ...]:
    """Return the newest version of each module, by id; with ``search``, of those that have it.

    The text is looked for in id, name, description and tags, whatever its case.
    """
    wanted = search.strip().casefold()
    return tuple(entry for entry in repository.catalogue() if _matches(entry, wanted))


def _matches(entry: CatalogueEntry, wanted: str) -> bool:
    texts = (entry.id, entry.name, entry.description, *entry.tags)
    return any(wanted in text.casefold() for text in texts)


def find_module(repository: Repository, *, name: str) -> CatalogueEntry:
    """Return the module with that id, or with that id or name whatever its case.

    Raises NotInRepository with near matches, ConfigurationError when several have the name.
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
            f"several modules are called {name!r}: {', '.join(entry.id for entry in found)}",
            hint="give the module's id.",
        )
    return found[0]


def newest_version(repository: Repository, *, module_id: str) -> str:
    """Return the version to take when none is asked for: the newest final release, not yanked.

    Without any final release it is the newest prerelease. Raises NotInRepository.
    """
    entries = repository.catalogue(module_id)
    found = newest(entry.version for entry in entries if entry.yanked is None)
    if found is None:
        raise NotInRepository(
            f"{module_id!r} has no version to take; {len(entries)} are published, all yanked",
            hint="ask for a version by its number.",
        )
    return found


def require_version(repository: Repository, *, module_id: str, version: str) -> None:
    """Raise NotInRepository, naming the newest versions there are, unless this one is there."""
    entries = repository.catalogue(module_id)
    if any(entry.version == version for entry in entries):
        return
    shown = ", ".join(entry.version for entry in entries[:5])
    raise NotInRepository(
        f"{module_id} has no version {version!r}; the newest are {shown}",
        hint="ask for one of these, or publish the version first.",
    )


def _near(wanted: str, entries: tuple[CatalogueEntry, ...]) -> str:
    from difflib import get_close_matches

    spellings = {entry.name.casefold(): entry.id for entry in entries}
    spellings |= {entry.id.rpartition(".")[2].casefold(): entry.id for entry in entries}
    spellings |= {entry.id.casefold(): entry.id for entry in entries}
    near = dict.fromkeys(
        spellings[spelling] for spelling in get_close_matches(wanted, spellings, n=5, cutoff=0.6)
    )
    return f"; near to it: {', '.join(near)}" if near else ""
