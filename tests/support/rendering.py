"""A request for the renderer, and how the readers of its files replace variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import yaml

from ign_deploy.render import Rendered, RenderedModule, RenderKind, RenderOptions, Secret, render

PUMP = RenderedModule(
    id="com.example.pump",
    version="1.4.2",
    file_name="com.example.pump-1.4.2.modl",
    sha256="1a" * 32,
    size=1_234_567,
    certificate_sha1="2b" * 20,
    certificate_sha256="3c" * 32,
    licence_crc=3405691582,
    url="https://modules.example.com/com.example.pump-1.4.2.modl",
)
VALVE = RenderedModule(
    id="com.example.valve",
    version="2.0.0-rc1",
    file_name="com.example.valve-2.0.0-rc1.modl",
    sha256="4d" * 32,
    size=98_765,
    certificate_sha1="5e" * 20,
    certificate_sha256="6f" * 32,
)
OPTIONS = RenderOptions(
    image="inductiveautomation/ignition:8.3.8@sha256:" + "7a" * 32,
    ign_deploy_image="ghcr.io/example/ign-deploy:1.0.0@sha256:" + "8b" * 32,
    repository_url="https://modules.example.com/ignition",
    credentials=Secret("module-repository", (("REPOSITORY_API_TOKEN", "token"),)),
    admin_secret="gateway-admin",
    accept_certificates=(PUMP.certificate_sha256, VALVE.certificate_sha1),
    accept_licenses=("3405691582",),
    accept_ignition_eula=True,
)


def rendered(kind: RenderKind, *modules: RenderedModule, **changes: Any) -> Rendered:
    """Render those modules (else both) with the options, some of them changed."""
    return render(kind, modules or (PUMP, VALVE), replace(OPTIONS, **changes))


def documents(result: Rendered) -> list[dict[str, Any]]:
    """Return the YAML documents of a file."""
    return list(yaml.safe_load_all(result.text))


def init_containers(kind: RenderKind, result: Rendered) -> list[dict[str, Any]]:
    """Return the init containers of a pod, in a manifest or in values."""
    if kind == "kubernetes":
        containers = documents(result)[1]["spec"]["template"]["spec"]["initContainers"]
    else:
        containers = documents(result)[0]["gateway"]["initContainers"]
    return [each for each in containers if each["name"].startswith("fetch-")]


def fetch_commands(kind: RenderKind, result: Rendered) -> list[list[str]]:
    """Return what each fetching container runs, once its runtime has replaced variables."""
    if kind == "compose":
        services = documents(result)[0]["services"]
        return [
            [compose_value(part) for part in (*service["entrypoint"], *service["command"])]
            for name, service in services.items()
            if name.startswith("fetch-")
        ]
    return [
        [kubernetes_value(part) for part in (*each["command"], *each["args"])]
        for each in init_containers(kind, result)
    ]


def gateway_files(kind: RenderKind, result: Rendered) -> dict[str, str]:
    """Return the gateway's module files by their paths: where each is in the shared volume."""
    if kind == "compose":
        mounts = documents(result)[0]["services"]["gateway"]["volumes"]
        return {
            each["target"]: each["volume"]["subpath"]
            for each in mounts
            if each["source"] == "modules"
        }
    if kind == "kubernetes":
        mounts = documents(result)[1]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    else:
        mounts = documents(result)[0]["gateway"]["volumeMounts"]
    return {each["mountPath"]: each["subPath"] for each in mounts if "subPath" in each}


def gateway_variables(kind: RenderKind, result: Rendered) -> dict[str, Any]:
    """Return the gateway's variables; the chart's values as the variables it makes of them."""
    if kind == "compose":
        variables: dict[str, Any] = documents(result)[0]["services"]["gateway"]["environment"]
        return variables
    if kind == "kubernetes":
        container = documents(result)[1]["spec"]["template"]["spec"]["containers"][0]
        return {each["name"]: each.get("value", each.get("valueFrom")) for each in container["env"]}
    values = documents(result)[0]["commissioning"]
    names = {
        "ACCEPT_MODULE_CERTS": ",".join(values["acceptModuleCertificates"]),
        "ACCEPT_MODULE_LICENSES": ",".join(values["acceptModuleLicenses"]),
        "ACCEPT_IGNITION_EULA": "Y" if values.get("acceptIgnitionEULA") else "",
    }
    return {name: value for name, value in names.items() if value}


_COMPOSE = re.compile(r"\$(?:\$|\{([A-Za-z_]\w*)(?::\?[^}]*)?\}|([A-Za-z_]\w*)|)")


def compose_value(text: str, *, env: Mapping[str, str] | None = None) -> str:
    """Interpolate as the compose specification says; a ``$`` that means nothing is an error."""

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name:
            return (env or {})[name]
        if found[0] == "$$":
            return "$"
        raise ValueError(f"invalid interpolation in {text!r}")

    return _COMPOSE.sub(value, text)


def kubernetes_value(text: str) -> str:
    """Replace as Kubernetes does in commands: ``$$`` is ``$``; ``$(NAME)`` must not be left."""
    for found in re.finditer(r"\$\$|\$\(", text):
        if found[0] == "$(":
            raise ValueError(f"a variable in {text!r}")
    return text.replace("$$", "$")
