"""Values for the vendor's Helm chart."""

from __future__ import annotations

from typing import Any

from ign_deploy.errors import ConfigurationError
from ign_deploy.render.consent import accepted_modules
from ign_deploy.render.fetching import module_lines
from ign_deploy.render.model import Rendered, RenderedModule, RenderOptions
from ign_deploy.render.notes import FETCHING, REPLACED, general_notes
from ign_deploy.render.pod import (
    fetch_containers,
    gateway_mounts,
    pod_volumes,
    require_reachable_repository,
)
from ign_deploy.render.text import header, yaml_document

CHART_VERSION = "0.2.1"  # of inductiveautomation/ignition-helm-chart
_MADE_BY = (
    f"Made by `ign-deploy render helm-values` for version {CHART_VERSION} of the vendor's chart"
    " (github.com/inductiveautomation/ignition-helm-chart); render it again rather than edit it."
)
_EXTERNAL_MODULES = (
    "gateway.externalModules is not used: it wants a volume that somebody fills, and leaves a file"
    " of the same name in the image as it is; its replaceExistingModules=true says that it replaces"
    " the file, but never copies"
)


def render_helm_values(modules: tuple[RenderedModule, ...], options: RenderOptions) -> Rendered:
    """Return the values; raises ConfigurationError for what the chart can't be told."""
    require_reachable_repository(options)
    consent = accepted_modules(modules, options)
    notes = (*general_notes(options, consent), _EXTERNAL_MODULES)
    if not options.accepts_by_variable:
        notes = (*notes, f"not sure: version {CHART_VERSION} of the chart is made for Ignition 8.3")
    commissioning: dict[str, Any] = {}
    if options.accept_ignition_eula:
        commissioning["acceptIgnitionEULA"] = True
    commissioning["acceptModuleLicenses"] = list(consent.licences)
    commissioning["acceptModuleCertificates"] = list(consent.certificates)
    if options.admin_secret:
        commissioning["auth"] = {"existingSecret": options.admin_secret}
    tree: dict[str, Any] = {
        "fullnameOverride": options.name,
        "image": _image(options.image),
        "commissioning": commissioning,
        "gateway": {
            "initContainers": fetch_containers(modules, options),
            "volumes": pod_volumes(modules, options),
            "volumeMounts": gateway_mounts(modules),
            **_data_volume(options),
        },
    }
    where = f" --namespace {options.namespace}" if options.namespace else ""
    command = f"helm upgrade --install {options.name} CHART --version {CHART_VERSION}{where}"
    top = header(
        [
            _MADE_BY,
            f"Use it with: {command} --values FILE",
            REPLACED,
            f"{FETCHING} The modules:",
        ],
        listed=module_lines(modules),
        notes=notes,
    )
    return Rendered(top + yaml_document(tree), notes)


def _data_volume(options: RenderOptions) -> dict[str, Any]:
    if options.storage_size:
        return {"dataVolumeStorageSize": options.storage_size}
    return {"dataVolumeUseEmptyDir": True}


def _image(reference: str) -> dict[str, str]:
    """Split a reference as the chart joins it: registry/repository:tag, a digest after the tag."""
    name, at, digest = reference.partition("@")
    first, slash, rest = name.partition("/")
    is_registry = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, rest) if is_registry else ("docker.io", name)
    repository, colon, tag = path.partition(":")
    if not colon:
        raise ConfigurationError(
            f"the gateway's image {reference} has no tag, which the vendor's chart needs",
            hint="name it with a tag, such as 8.3.8; a digest may follow.",
        )
    return {"registry": registry, "repository": repository, "tag": f"{tag}{at}{digest}"}
