"""Files that run a gateway in containers with exactly the given modules of a repository.

``render`` is pure: it uses neither network nor disk. All three kinds work alike. Init containers of
the ign-deploy image download each module, compare its SHA-256 and verify its signature. The gateway
starts only after them, and sees each module as one read-only file in the folder from which it loads
modules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, get_args
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.render.consent import require_known_consents
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
    "RenderKind",
    "RenderOptions",
    "Rendered",
    "RenderedModule",
    "Secret",
    "render",
]

_COMPONENT = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_+-]|\.(?=[A-Za-z0-9_+-])){0,199}", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_IMAGE = re.compile(
    r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?[a-z0-9]+(?:[._/-]+[a-z0-9]+)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)
_LABEL = re.compile(r"[a-z](?:[a-z0-9-]{0,50}[a-z0-9])?")  # leaves room for a StatefulSet's suffix
_RESOURCE = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?")
_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_QUANTITY = re.compile(r"[1-9]\d*(?:[KMGTPE]i?)?")


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
    _check_request(modules, options)
    return _renderer(kind)(tuple(modules), options)


def _check_request(modules: Sequence[RenderedModule], options: RenderOptions) -> None:
    """Raise ConfigurationError for the first thing that can't be rendered safely."""
    if not modules:
        raise ConfigurationError(
            "no module to render", hint="name at least one, as MODULE or MODULE@VERSION."
        )
    seen: set[str] = set()
    for module in modules:
        _check_module(module)
        if module.id.lower() in seen:
            raise ConfigurationError(
                f"{module.id} was requested twice, but a gateway runs one version of a module",
                hint="name each module once.",
            )
        seen.add(module.id.lower())
    _check_names(options)
    _check_repository(options)
    require_known_consents(modules, options)


def _check_module(module: RenderedModule) -> None:
    for what, text in (
        ("module id", module.id),
        ("version", module.version),
        ("file name", module.file_name),
    ):
        _require(_COMPONENT, text, f"the {what}", "letters, digits and . _ + -, no '..'")
    _require(_SHA256, module.sha256, f"the SHA-256 of {module.id}", "64 lower-case hex digits")


def _check_names(options: RenderOptions) -> None:
    _require(_IMAGE, options.image, "the gateway image", "an image reference")
    _require(_IMAGE, options.ign_deploy_image, "the ign-deploy image", "an image reference")
    _require(_LABEL, options.name, "the name", "a letter, then letters, digits and -, at most 52")
    for what, text in (
        ("the namespace", options.namespace),
        ("the repository volume claim", options.repository_claim),
        ("the credentials secret", options.credentials.name),
        ("the administrator secret", options.admin_secret),
    ):
        if text:
            _require(_RESOURCE, text, what, "lower-case letters, digits, - and .")
    for variable, key in options.credentials.keys:
        _require(_VARIABLE, variable, "the variable of a credential", "letters, digits and _")
        _require(_KEY, key, "the secret key of a credential", "letters, digits and . _ -")
    if options.storage_size:
        _require(_QUANTITY, options.storage_size, "the storage size", "a size such as 3Gi")
    if not 1 <= options.http_port <= 65535:
        raise ConfigurationError(
            f"the HTTP port is {options.http_port}, expected 1 to 65535",
            hint="choose another port.",
        )


def _check_repository(options: RenderOptions) -> None:
    text = options.repository_url
    if not text or not text.isprintable() or text.startswith("-"):
        raise ConfigurationError(
            "the repository URL is empty or contains invalid characters",
            hint="give the URL or the folder of the repository.",
        )
    try:
        # Without a scheme, it is a path, in which @ means nothing.
        has_user = "@" in urlsplit(text if "://" in text else "").netloc
    except ValueError:
        raise ConfigurationError(
            "the repository URL is not valid", hint="fix the repository URL."
        ) from None
    if has_user:
        raise ConfigurationError(
            "the repository URL contains credentials, which would be readable in the file",
            hint="remove them from the URL, and name the secret that contains them.",
        )


def _require(pattern: re.Pattern[str], text: str, what: str, expected: str) -> None:
    if pattern.fullmatch(text) is None:
        raise ConfigurationError(
            f"{what} is {text[:80]!a}, expected {expected}", hint="correct it, then run again."
        )


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
