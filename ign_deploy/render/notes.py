"""Notes for the reader of a rendered file of any kind."""

from __future__ import annotations

from ign_deploy.render.consent import AcceptedModules
from ign_deploy.render.model import RenderOptions

MODULES_ENABLED = (
    "GATEWAY_MODULES_ENABLED is left out on purpose: it is the complete list of modules, and naming"
    " only these would disable all others"
)
NO_ADMINISTRATOR = "no administrator password given: a new gateway asks for one on its web page"
FETCHING = (
    "The gateway starts only after each module has been downloaded, its SHA-256 compared and its"
    " signature verified."
)
POD_REPLACED = "Changing a module's version replaces the pod, which stops the gateway for a while."
_EXISTING_DATA = (
    "uncertain: on a used data volume, 8.3 may require an entry for a new module in"
    " data/modules.json; check the module page after the start, and use `ign-deploy install` if the"
    " module isn't there"
)
_OLD_LINE = (
    "uncertain: this file is designed for 8.3; 8.1 loads modules from user-lib/modules at"
    " startup, and may quarantine signed ones until someone accepts them"
)


def general_notes(options: RenderOptions, consent: AcceptedModules) -> tuple[str, ...]:
    """Return the notes by importance: first those that stop the gateway."""
    notes = list(consent.notes)
    if not options.accept_ignition_eula:
        notes.append(
            "Ignition's own licence is not accepted, so the gateway will wait for someone to accept"
            " it at its first start; or read it and render with --accept-ignition-eula"
        )
    notes += [
        f"{what} is not pinned by digest: it may change without this file changing"
        for what, image in (
            ("the gateway image", options.image),
            ("the ign-deploy image", options.ign_deploy_image),
        )
        if "@sha256:" not in image
    ]
    line = options.ignition_line
    if line is None:
        notes.append("the image tag doesn't say which Ignition version it is; assuming 8.3")
    notes.append(_OLD_LINE if not options.accepts_by_variable else _EXISTING_DATA)
    notes.append(MODULES_ENABLED)
    return tuple(notes)
