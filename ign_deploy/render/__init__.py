"""Files that run a gateway in containers with exactly the given modules of a repository.

``render`` is pure: it uses neither network nor disk. All three kinds work alike. Init containers of
the ign-deploy image download each module, compare its SHA-256 and verify its signature. The gateway
starts only after them, and sees each module as one read-only file in the folder from which it loads
modules.
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
    """Return the file of that kind, and notes on what its reader has to know or do.

    The same input always gives the same text. Raises ConfigurationError for what can't be written
    safely: an invalid name, a repository that the containers can't reach, credentials in a URL, a
    consent that matches no module.
    """
    if kind not in KINDS:
        raise ConfigurationError(
            f"cannot render {kind!r}", hint=f"choose one of {', '.join(KINDS)}."
        )
    check_request(modules, options)
    return _renderer(kind)(tuple(modules), options)


def _renderer(kind: RenderKind) -> Callable[[tuple[RenderedModule, ...], RenderOptions], Rendered]:
    # Imports PyYAML, so only when something is rendered.
    if kind == "compose":
        from ign_deploy.render.compose import render_compose

        return render_compose
    if kind == "kubernetes":
        from ign_deploy.render.kubernetes import render_kubernetes

        return render_kubernetes
    from ign_deploy.render.helm import render_helm_values

    return render_helm_values
