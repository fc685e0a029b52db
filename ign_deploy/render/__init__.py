"""Files that run a gateway in containers with exactly the modules a repository holds.

``render`` writes text and touches nothing: no network, no disk. All three kinds work alike. Init
containers of the ign-deploy image fetch each module, compare its SHA-256 and verify its signature;
the gateway starts only after them, and sees each module as one read-only file in the folder it
loads modules from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from ign_deploy.errors import ConfigurationError
from ign_deploy.render.checks import check_request
from ign_deploy.render.model import (
    EVERYTHING,
    Rendered,
    RenderedModule,
    RenderOptions,
    Secret,
)

RenderKind = Literal["compose", "kubernetes", "helm-values"]
KINDS: tuple[RenderKind, ...] = get_args(RenderKind)

__all__ = [
    "EVERYTHING",
    "KINDS",
    "Kind",
    "RenderOptions",
    "Rendered",
    "RenderedModule",
    "Secret",
    "render",
]


def render(kind: RenderKind, modules: Sequence[RenderedModule], options: RenderOptions) -> Rendered:
    """Return the file of that kind, and what its reader has to know or do.

    The same request always gives the same text. Raises ConfigurationError for what can't be
    written safely: a name that is none, a repository the containers couldn't reach, credentials in
    a URL, a consent that fits no module.
    """
    if kind not in KINDS:
        raise ConfigurationError(
            f"{kind!r} is nothing that can be rendered", hint=f"choose one of {', '.join(KINDS)}."
        )
    check_request(modules, options)
    return _renderer(kind)(tuple(modules), options)


def _renderer(kind: RenderKind) -> Callable[[tuple[RenderedModule, ...], RenderOptions], Rendered]:
    # PyYAML is imported with them, and only by who renders.
    if kind == "compose":
        from ign_deploy.render.compose import render_compose

        return render_compose
    if kind == "kubernetes":
        from ign_deploy.render.kubernetes import render_kubernetes

        return render_kubernetes
    from ign_deploy.render.helm import render_helm_values

    return render_helm_values
