"""Environments of the history, as the commands that show it choose them."""

from __future__ import annotations

from collections.abc import Sequence

from ign_deploy.cli.session import Session
from ign_deploy.errors import NotInRepository

NOTHING = "nothing was deployed yet"


def chosen_environments(session: Session) -> list[str]:
    """Return the requested environment, or all; raises NotInRepository for an unknown one."""
    from ign_deploy.deployment.records import check_environment

    name, known = session.settings.environment, session.context.history.environments()
    if not known:
        session.context.require_repository()
    if not name:
        return known
    configured = {entry.environment for entry in session.settings.gateways}
    if check_environment(name) in {*known, *configured}:
        return [name]
    raise unknown_environment(name, known)


def unknown_environment(name: str, known: Sequence[str]) -> NotInRepository:
    """Return the error for an environment that the history doesn't know."""
    return NotInRepository(
        f"the history has no environment {name[:200]!r}",
        hint=f"give one of these: {', '.join(known)}." if known else "nothing was deployed yet.",
    )
