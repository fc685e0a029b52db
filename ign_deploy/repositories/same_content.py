"""Whether a version that is published with other bytes has the same content and signer."""

from __future__ import annotations

from itertools import islice

from ign_deploy.errors import IgnDeployError, VersionConflict
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.module.content import differing_files

_MOST_NAMED = 5


def require_same_content(
    module: VerifiedModule, published: VerifiedModule, *, conflict: VersionConflict
) -> None:
    """Raise the conflict unless the modules share signer and content; it names what differs."""
    try:
        with Archive.open(module.path) as ours, Archive.open(published.path) as theirs:
            differing = list(islice(differing_files(ours, theirs), _MOST_NAMED + 1))
            is_stable = (ours.digest(), theirs.digest()) == (module.sha256, published.sha256)
    except (IgnDeployError, OSError) as problem:
        raise conflict from problem
    if differing:
        more = ", …" if len(differing) > _MOST_NAMED else ""
        names = ", ".join(f"{name[:200]!a}" for name in differing[:_MOST_NAMED])
        raise VersionConflict(
            f"{conflict.message}; what differs: {names}{more}", hint=conflict.hint
        )
    if published.certificate.sha256 != module.certificate.sha256 or not is_stable:
        raise conflict
