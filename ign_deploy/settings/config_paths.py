"""Paths in a config file are relative to the file, wherever the command runs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from ign_deploy.settings.deployment import GatewayEntry
from ign_deploy.settings.source import Source, looks_like_path

_LISTS = ("gateway", "trust_anchor", "paths")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def value_from_file(
    value: object, source: Source, folder: Path, *, name: str, gateway_names: Collection[str]
) -> object:
    """Return a setting's value with its paths below ``folder``, where the config file is.

    A ``gateway`` that is one of ``gateway_names`` is no path, nor is key material.
    """

    def moved(text: str) -> str:
        if name == "repository_url" or (name == "gateway" and text.strip() not in gateway_names):
            return address_from_file(text, folder)
        return path_from_file(text, folder, source) if source.is_path else text

    if isinstance(value, list):
        return [moved(item) if isinstance(item, str) else item for item in value]
    if isinstance(value, str):
        return "\n".join(map(moved, value.split("\n"))) if name in _LISTS else moved(value)
    return value


def gateway_from_file(entry: GatewayEntry, folder: Path) -> GatewayEntry:
    """Return a gateway of the config file with its paths below ``folder``."""
    return entry.model_copy(
        update={
            "url": address_from_file(entry.url, folder),
            "ca": _below(folder, entry.ca),
            "manifest": _below(folder, entry.manifest),
        }
    )


def address_from_file(address: str, folder: Path) -> str:
    """Return a URL as it is, a folder's path below ``folder``."""
    return address if _SCHEME.match(address.strip()) else _below(folder, address)


def path_from_file(path: str, folder: Path, source: Source) -> str:
    """Return a path below ``folder``; key material and the URI of a key stay as they are."""
    if source.material and _SCHEME.match(path.strip()):
        return path
    moved = _below(folder, path)
    is_key = source.material and not (os.path.exists(moved) or looks_like_path(path))
    return path if is_key else moved


def _below(folder: Path, path: str) -> str:
    """Return the path as the working directory sees it; unchanged where the file is there."""
    own = path.strip()
    if not own or folder == Path() or Path(own).is_absolute() or "\0" in own:
        return path
    return os.path.normpath(os.path.join(folder, own))
