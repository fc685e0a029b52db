"""What a reader of a rendered file has to know, whatever its kind."""

from __future__ import annotations

from ign_deploy.render.consent import AcceptedModules
from ign_deploy.render.model import RenderOptions

MODULES_ENABLED = (
    "GATEWAY_MODULES_ENABLED is left out on purpose: it is the complete list of modules, and naming"
    " only these would disable all others"
)
NO_ADMINISTRATOR = (
    "no administrator's password is given: a new gateway asks for one in its web page"
)
FETCHING = (
    "The gateway starts only after each module was fetched, its SHA-256 compared and its signature"
    " verified."
)
REPLACED = "Another version of a module replaces the pod, which stops the gateway for a while."
_EXISTING_DATA = (
    "not sure: on a data volume of a gateway that ran before, 8.3 may want an entry for a new"
    " module in data/modules.json; look at its modules page after the start, and use"
    " `ign-deploy install` if the module isn't there"
)
_OLD_LINE = (
    "not sure: what is written here was made for 8.3; on 8.1, modules in user-lib/modules are"
    " loaded at the start, and signed ones may be quarantined until a person accepts them"
)


def general_notes(options: RenderOptions, consent: AcceptedModules) -> tuple[str, ...]:
    """Return the notes in the order of their weight: what stops the gateway first."""
    notes = list(consent.notes)
    if not options.accept_ignition_eula:
        notes.append(
            "Ignition's own licence is not accepted: the gateway waits for a person at its first"
            " start; render with --accept-ignition-eula once you have read it"
        )
    notes += [
        f"{what} is not pinned by a digest: what runs may change without this file changing"
        for what, image in (
            ("the gateway's image", options.image),
            ("the image of ign-deploy", options.ign_deploy_image),
        )
        if "@sha256:" not in image
    ]
    line = options.ignition_line
    if line is None:
        notes.append("the image's tag doesn't say which Ignition it is; 8.3 is assumed")
    notes.append(_OLD_LINE if not options.accepts_by_variable else _EXISTING_DATA)
    notes.append(MODULES_ENABLED)
    return tuple(notes)
