"""The Git tag of a version: ``modl/<id>/<version>``, and back.

The prefix keeps our tags apart from a project's own (``v1.2.0``, ``mcp/v1.2.0``), and from the
patterns that its workflows listen to: ``v*`` doesn't match a slash.
"""

from __future__ import annotations

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.record import is_safe_component
from ign_deploy.repositories.store import Key

PREFIX = "modl/"
# A ref is a file in many places: with refs/tags/ and .lock it must stay below 255 characters.
_LONGEST = 230
# Git refuses a part that ends so (git-check-ref-format); "=" is in no id and no version.
_REFUSED_END = ".lock"
_MARK = "="


def tag_of(key: Key) -> str:
    """Return the version's tag, which is a valid ref for every safe id and version.

    Raises RepositoryError when it would be longer than a ref can be.
    """
    tag = PREFIX + "/".join(_part(text) for text in key)
    if len(tag) > _LONGEST:
        raise RepositoryError(
            f"the id and version {key.id[:60]}… {key.version[:60]} make a tag of {len(tag)} "
            f"characters; at most {_LONGEST} fit into a Git repository",
            hint="shorten the module's version or id, or use another kind of repository.",
        )
    return tag


def key_of(tag: str) -> Key | None:
    """Return the version of a tag; None for a tag that isn't ours."""
    parts = tag.removeprefix(PREFIX).split("/") if tag.startswith(PREFIX) else []
    if len(parts) != 2:
        return None
    key = Key(*(part.removesuffix(_MARK) for part in parts))
    if len(tag) > _LONGEST or not all(is_safe_component(text) for text in key):
        return None
    return key if tag_of(key) == tag else None


def module_prefix(module_id: str) -> str:
    """Return what the tags of a module's versions begin with."""
    return f"{PREFIX}{_part(module_id)}/"


def _part(text: str) -> str:
    return text + _MARK if text.endswith(_REFUSED_END) else text
