"""The matrix of a plan in the form that each CI host's own fan-out reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ign_deploy.ci.host import Host
from ign_deploy.pipeline.plan.decision import Decision

LIMITS = {Host.GITHUB: 256, Host.GITLAB: 200}
"""So many jobs a host makes of one matrix at most."""


def matrix(decisions: Sequence[Decision], *, host: Host) -> Any:
    """Return what is to be released as JSON values, in its order.

    GitHub: ``{"include": […]}``; GitLab: a list of variables for ``parallel: matrix:``; otherwise a
    plain list. Several modules of one path are one entry, with their ids separated by blanks.
    """
    wanted = [each for each in decisions if each.is_wanted]
    if host is Host.GITHUB:
        return {"include": [_entry(each) for each in wanted]}
    if host is Host.GITLAB:
        return [_variables(each) for each in wanted]
    return [_entry(each) for each in wanted]


def _entry(decision: Decision) -> dict[str, str]:
    modules = decision.modules
    return {
        "path": str(decision.path),
        "id": " ".join(module.id for module in modules),
        "version": " ".join(module.version for module in modules if module.version),
        "name": ", ".join(module.name for module in modules if module.name),
    }


def _variables(decision: Decision) -> dict[str, str]:
    entry = _entry(decision)
    # GitLab expands a lone $.
    return {
        f"MODULE_{name.upper()}": entry[name].replace("$", "$$")
        for name in ("path", "id", "version")
    }
