"""The parts of a pod that bring modules to a gateway, for a StatefulSet or the chart."""

from __future__ import annotations

from typing import Any

from ign_deploy.errors import ConfigurationError
from ign_deploy.render.fetching import (
    FOLDER,
    GATEWAY_UID,
    PROGRAM,
    REPOSITORY,
    fetch_arguments,
    gateway_path,
    step_name,
    volume_path,
)
from ign_deploy.render.model import RenderedModule, RenderOptions
from ign_deploy.render.text import escape_dollars

VOLUME = "ign-deploy-modules"
_TEMPORARY = "ign-deploy-tmp"
_REPOSITORY_VOLUME = "ign-deploy-repository"
_ROOM = 16 << 20  # in addition to the modules, in bytes


def require_reachable_repository(options: RenderOptions) -> None:
    """Raise ConfigurationError if the repository is a folder that no pod can see."""
    if options.repository_folder and not options.repository_claim:
        raise ConfigurationError(
            "the repository is a folder on this machine, which no pod can read",
            hint="give a URL that the cluster can reach, or --repository-claim.",
        )
    if options.credentials.keys and not options.credentials.name:
        raise ConfigurationError(
            "--credentials-key was given without --credentials-secret",
            hint="add --credentials-secret with the name of the cluster's secret.",
        )


def pod_security() -> dict[str, Any]:
    """Return the pod's security context: not root; volumes belong to the gateway's user."""
    return {
        "runAsNonRoot": True,
        "runAsUser": GATEWAY_UID,
        "runAsGroup": GATEWAY_UID,
        "fsGroup": GATEWAY_UID,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only: bool) -> dict[str, Any]:
    """Return a container's security context: no capabilities, no privilege escalation."""
    return {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": read_only,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def fetch_containers(
    modules: tuple[RenderedModule, ...], options: RenderOptions
) -> list[dict[str, Any]]:
    """Return one init container per module; they run in order, and all must succeed."""
    mounts: list[dict[str, Any]] = [
        {"name": VOLUME, "mountPath": FOLDER},
        {"name": _TEMPORARY, "mountPath": "/tmp"},  # noqa: S108 -- the container's own
    ]
    if options.repository_folder:
        mounts.append({"name": _REPOSITORY_VOLUME, "mountPath": REPOSITORY, "readOnly": True})
    return [
        {
            "name": step_name(number, module),
            "image": options.ign_deploy_image,
            "command": [PROGRAM],
            "args": [escape_dollars(each) for each in fetch_arguments(module, options)],
            "env": [
                secret_variable(variable, name=options.credentials.name, key=key)
                for variable, key in options.credentials.keys
            ],
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "512Mi"},
            },
            "securityContext": container_security(read_only=True),
            "volumeMounts": mounts,
        }
        for number, module in enumerate(modules, start=1)
    ]


def pod_volumes(
    modules: tuple[RenderedModule, ...], options: RenderOptions
) -> list[dict[str, Any]]:
    """Return the volumes; the modules' volume dies with the pod, so nothing old is loaded."""
    # During a download there may be two copies: that of an earlier attempt, and the new one.
    room = 2 * sum(module.size for module in modules) + _ROOM
    volumes: list[dict[str, Any]] = [
        {"name": VOLUME, "emptyDir": {"sizeLimit": f"{-(-room >> 20)}Mi"}},
        {"name": _TEMPORARY, "emptyDir": {"sizeLimit": "64Mi"}},
    ]
    if options.repository_folder:
        claim = {"claimName": options.repository_claim, "readOnly": True}
        volumes.append({"name": _REPOSITORY_VOLUME, "persistentVolumeClaim": claim})
    return volumes


def gateway_mounts(modules: tuple[RenderedModule, ...]) -> list[dict[str, Any]]:
    """Return one mount per module: a single file among those of the gateway image."""
    return [
        {
            "name": VOLUME,
            "mountPath": gateway_path(module),
            "subPath": volume_path(module),
            "readOnly": True,
        }
        for module in modules
    ]


def secret_variable(variable: str, *, name: str, key: str) -> dict[str, Any]:
    """Return an environment variable whose value comes from a secret, not from the file."""
    return {"name": variable, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}}
