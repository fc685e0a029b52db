"""Kubernetes manifests: a Service, and a StatefulSet whose init containers fetch the modules."""

from __future__ import annotations

import re
from typing import Any

from ign_deploy.render.consent import AcceptedModules, accepted_modules
from ign_deploy.render.fetching import GATEWAY_DATA, GATEWAY_PORT, module_lines
from ign_deploy.render.model import Rendered, RenderedModule, RenderOptions
from ign_deploy.render.notes import FETCHING, NO_ADMINISTRATOR, REPLACED, general_notes
from ign_deploy.render.pod import (
    container_security,
    fetch_containers,
    gateway_mounts,
    pod_security,
    pod_volumes,
    require_reachable_repository,
    secret_variable,
)
from ign_deploy.render.text import Script, header, yaml_document

ADMIN_KEY = "gateway-admin-password"
_DATA = "data"
_SEEDED = "/data"
# An empty volume hides what the image has in its data folder. A gateway's data of before is left
# alone, a copy that was interrupted is made again. The last mark is the vendor's chart's, too.
SEED_SCRIPT = """\
done="$1/.ignition-seed-complete"
begun="$1/.ign-deploy-seed-begun"
if [ -e "$done" ]; then exit 0; fi
if [ -e "$begun" ] || ! ls -A "$1" | grep -qvx lost+found; then
  source="$IGNITION_INSTALL_LOCATION/data"
  if [ -d "${source}_clean" ]; then source="${source}_clean"; fi
  touch "$begun"
  cp -dpR "$source/." "$1/"
  rm "$begun"
fi
touch "$done"
"""
# 200 is also the answer of a gateway that is still starting.
_READY = (
    f"curl --fail --silent --max-time 3 http://localhost:{GATEWAY_PORT}/StatusPing"
    " | grep -q '\"RUNNING\"'"
)


def render_kubernetes(modules: tuple[RenderedModule, ...], options: RenderOptions) -> Rendered:
    """Return the manifests; raises ConfigurationError for a repository no pod can reach."""
    require_reachable_repository(options)
    consent = accepted_modules(modules, options)
    notes = general_notes(options, consent)
    if not options.admin_secret:
        notes = (*notes, NO_ADMINISTRATOR)
    if not options.storage_size:
        notes = (*notes, "the gateway keeps nothing: its data is thrown away with its pod")
    top = header(
        [
            "Made by `ign-deploy render kubernetes`; render it again rather than edit it.",
            "Apply it with: kubectl apply --filename FILE",
            REPLACED,
            f"{FETCHING} The modules:",
        ],
        listed=module_lines(modules),
        notes=notes,
    )
    parts = [_service(options), _stateful_set(modules, options, consent)]
    body = "---\n".join(yaml_document(part) for part in parts)
    return Rendered(top + body, notes)


def _metadata(options: RenderOptions) -> dict[str, Any]:
    where = {"namespace": options.namespace} if options.namespace else {}
    return {"name": options.name, **where, "labels": _labels(options)}


def _selector(options: RenderOptions) -> dict[str, str]:
    return {"app.kubernetes.io/name": "ignition", "app.kubernetes.io/instance": options.name}


def _labels(options: RenderOptions) -> dict[str, str]:
    tag = options.image.partition("@")[0].rpartition(":")[2]
    version = tag[:63] if re.fullmatch(r"[A-Za-z0-9][\w.-]{0,61}[A-Za-z0-9]", tag) else ""
    return {
        **_selector(options),
        **({"app.kubernetes.io/version": version} if version else {}),
        "app.kubernetes.io/component": "gateway",
        "app.kubernetes.io/managed-by": "ign-deploy",
    }


def _service(options: RenderOptions) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(options),
        "spec": {
            "selector": _selector(options),
            "ports": [{"name": "http", "port": options.http_port, "targetPort": "http"}],
        },
    }


def _stateful_set(
    modules: tuple[RenderedModule, ...], options: RenderOptions, consent: AcceptedModules
) -> dict[str, Any]:
    volumes = pod_volumes(modules, options)
    if not options.storage_size:
        volumes.append({"name": _DATA, "emptyDir": {}})
    spec: dict[str, Any] = {
        "serviceName": options.name,
        "replicas": 1,
        "selector": {"matchLabels": _selector(options)},
        "template": {
            "metadata": {"labels": _labels(options)},
            "spec": {
                "automountServiceAccountToken": False,
                "securityContext": pod_security(),
                "initContainers": [*fetch_containers(modules, options), _seed(options)],
                "containers": [_gateway(modules, options, consent)],
                "volumes": volumes,
            },
        },
    }
    if options.storage_size:
        spec["volumeClaimTemplates"] = [
            {
                "metadata": {"name": _DATA},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": options.storage_size}},
                },
            }
        ]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _metadata(options),
        "spec": spec,
    }


def _seed(options: RenderOptions) -> dict[str, Any]:
    return {
        "name": "seed-data",
        "image": options.image,
        # Not doubled: Kubernetes replaces $(NAME) only, and this has none.
        "command": ["/bin/bash", "-euc", Script(SEED_SCRIPT), "seed-data", _SEEDED],
        "resources": {
            "requests": {"cpu": "100m", "memory": "64Mi"},
            "limits": {"cpu": "1", "memory": "256Mi"},
        },
        "securityContext": container_security(read_only=True),
        "volumeMounts": [{"name": _DATA, "mountPath": _SEEDED}],
    }


def _gateway(
    modules: tuple[RenderedModule, ...], options: RenderOptions, consent: AcceptedModules
) -> dict[str, Any]:
    variables = consent.variables()
    if options.accept_ignition_eula:
        variables["ACCEPT_IGNITION_EULA"] = "Y"
    env = [{"name": name, "value": value} for name, value in variables.items()]
    if options.admin_secret:
        env.append(
            secret_variable("GATEWAY_ADMIN_PASSWORD", name=options.admin_secret, key=ADMIN_KEY)
        )
    ping = {"httpGet": {"path": "/StatusPing", "port": "http"}}
    return {
        "name": "gateway",
        "image": options.image,
        "env": env,
        "ports": [{"name": "http", "containerPort": GATEWAY_PORT}],
        "resources": {
            "requests": {"cpu": "1", "memory": "2Gi"},
            "limits": {"memory": "2Gi"},
        },
        "startupProbe": {**ping, "periodSeconds": 5, "failureThreshold": 120},
        "livenessProbe": {**ping, "periodSeconds": 20, "timeoutSeconds": 5, "failureThreshold": 6},
        "readinessProbe": {
            "exec": {"command": ["/bin/bash", "-c", _READY]},
            "periodSeconds": 5,
            "timeoutSeconds": 5,
        },
        # It unpacks modules and logs beside its own programs: no read-only root.
        "securityContext": container_security(read_only=False),
        "volumeMounts": [
            {"name": _DATA, "mountPath": GATEWAY_DATA},
            *gateway_mounts(modules),
        ],
    }
