"""A compose file: one service for each module that fetches it, then the gateway."""

from __future__ import annotations

from typing import Any

from ign_deploy.render.consent import AcceptedModules, accepted_modules
from ign_deploy.render.fetching import (
    FOLDER,
    GATEWAY_DATA,
    GATEWAY_PORT,
    PROGRAM,
    REPOSITORY,
    fetch_arguments,
    gateway_path,
    module_lines,
    step_name,
    volume_path,
)
from ign_deploy.render.model import Rendered, RenderedModule, RenderOptions
from ign_deploy.render.notes import FETCHING, NO_ADMINISTRATOR, general_notes
from ign_deploy.render.text import escape_dollars, header, yaml_document

_SUBPATH = (
    "mounting one file of a volume (subpath) needs Docker Engine 26 and Compose 2.26 or newer"
)


def render_compose(modules: tuple[RenderedModule, ...], options: RenderOptions) -> Rendered:
    """Return the compose file; its values come from ``check_request``."""
    consent = accepted_modules(modules, options)
    notes = (*general_notes(options, consent), _SUBPATH)
    if not options.admin_secret:
        notes = (*notes, NO_ADMINISTRATOR)
    fetchers = {
        step_name(number, module): _fetcher(module, options)
        for number, module in enumerate(modules, start=1)
    }
    tree: dict[str, Any] = {
        "name": options.name,
        "services": {
            **fetchers,
            "gateway": _gateway(modules, options, consent, waits_for=list(fetchers)),
        },
        "volumes": {"modules": {}, "data": {}},
    }
    top = header(
        [
            "Made by `ign-deploy render compose`; render it again rather than edit it.",
            "Start and update the gateway with: docker compose --file FILE up --detach",
            f"{FETCHING} The modules:",
        ],
        listed=module_lines(modules),
        notes=notes,
    )
    return Rendered(top + yaml_document(tree), notes)


def _fetcher(module: RenderedModule, options: RenderOptions) -> dict[str, Any]:
    mounts: list[dict[str, Any]] = [{"type": "volume", "source": "modules", "target": FOLDER}]
    if options.repository_folder:
        mounts.append(
            {
                "type": "bind",
                "source": escape_dollars(_as_path(options.repository_folder)),
                "target": REPOSITORY,
                "read_only": True,
                "bind": {"create_host_path": False},
            }
        )
    service: dict[str, Any] = {
        "image": options.ign_deploy_image,
        "entrypoint": [PROGRAM],
        "command": [escape_dollars(each) for each in fetch_arguments(module, options)],
        "restart": "no",
        # A new volume belongs to root; without capabilities it may do no more than write there.
        "user": "0:0",
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 -- the container's own
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "volumes": mounts,
    }
    variables = {name: _from_outside(name) for name, _ in options.credentials.keys}
    return {**service, "environment": variables} if variables else service


def _gateway(
    modules: tuple[RenderedModule, ...],
    options: RenderOptions,
    consent: AcceptedModules,
    *,
    waits_for: list[str],
) -> dict[str, Any]:
    variables = consent.variables()
    if options.accept_ignition_eula:
        variables["ACCEPT_IGNITION_EULA"] = "Y"
    if options.admin_secret:
        variables["GATEWAY_ADMIN_PASSWORD"] = _from_outside("GATEWAY_ADMIN_PASSWORD")
    service: dict[str, Any] = {
        "image": options.image,
        "restart": "unless-stopped",
        "depends_on": {name: {"condition": "service_completed_successfully"} for name in waits_for},
        "ports": [{"target": GATEWAY_PORT, "published": str(options.http_port)}],
        "security_opt": ["no-new-privileges:true"],
        "volumes": [
            {"type": "volume", "source": "data", "target": GATEWAY_DATA},
            *(_mount(each) for each in modules),
        ],
    }
    return {**service, "environment": variables} if variables else service


def _mount(module: RenderedModule) -> dict[str, Any]:
    return {
        "type": "volume",
        "source": "modules",
        "target": gateway_path(module),
        "read_only": True,
        "volume": {"nocopy": True, "subpath": volume_path(module)},
    }


def _from_outside(variable: str) -> str:
    return "${" + variable + ":?set it in the environment or in an .env file}"


def _as_path(folder: str) -> str:
    # Without a dot or a slash in front, compose would take it for a volume's name.
    return folder if folder.startswith(("/", "./", "../")) else f"./{folder}"
