"""The order of published versions, and which of them is the newest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ign_deploy.module.version import ModuleVersion, VersionSyntaxError

VersionKey = tuple[bool, ModuleVersion, str]

_DEVELOPMENT = ModuleVersion.parse("dev")


def version_key(text: str) -> VersionKey:
    """Return what versions are sorted by, oldest first.

    What no gateway could install comes before everything else; ``1.2.3`` and ``1.2.3.0`` are the
    same version to a gateway, so their spelling decides, to have one order.
    """
    try:
        return True, ModuleVersion.parse(text), text
    except VersionSyntaxError:
        return False, _DEVELOPMENT, text


def is_final(text: str) -> bool:
    """Tell whether the version is an installable release without a stage such as ``-rc1``."""
    installable, version, _ = version_key(text)
    return installable and not version.is_prerelease


def newest(versions: Iterable[str]) -> str | None:
    """Return the newest final release, else the newest prerelease, None when there is neither."""
    return newest_of_sorted(sorted(versions, key=version_key))


def newest_of_sorted(versions: Sequence[str]) -> str | None:
    """Do as ``newest`` for versions that are sorted already, oldest first."""
    if not versions:
        return None
    return next((version for version in reversed(versions) if is_final(version)), versions[-1])
