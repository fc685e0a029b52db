"""What a gateway may accept, and what the reader of a rendered file has to know: its notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ign_deploy.errors import ConfigurationError
from ign_deploy.render.model import EVERYTHING, RenderedModule, RenderOptions

_BY_HAND = (
    "Ignition 8.1 doesn't support the ACCEPT_MODULE variables: accept certificates and licences"
    " once on the gateway's web page; its data volume keeps them"
)
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


@dataclass(frozen=True)
class AcceptedModules:
    """Ids for ACCEPT_MODULE_CERTS and ACCEPT_MODULE_LICENSES, and what is missing, as notes."""

    certificates: tuple[str, ...]
    licences: tuple[str, ...]
    notes: tuple[str, ...]

    def variables(self) -> dict[str, str]:
        """Return the gateway's environment variables, without empty ones."""
        values = {
            "ACCEPT_MODULE_CERTS": ",".join(self.certificates),
            "ACCEPT_MODULE_LICENSES": ",".join(self.licences),
        }
        return {name: value for name, value in values.items() if value}


def accepted_modules(modules: Sequence[RenderedModule], options: RenderOptions) -> AcceptedModules:
    """Match the user's consents with the modules; nothing is accepted without one."""
    accepted = _fingerprints(options)
    certificates: list[str] = []
    licences: list[str] = []
    notes: list[str] = []
    for module in modules:
        if accepted & {EVERYTHING, module.certificate_sha1, module.certificate_sha256}:
            certificates.append(module.id)
        else:
            notes.append(
                f"{module.id}: its certificate is not accepted, so the gateway will wait; accept it"
                f" there, or render with --accept-certificate {module.certificate_sha256}"
            )
        if module.licence_crc is None:
            continue
        if {EVERYTHING, str(module.licence_crc)} & {*options.accept_licenses}:
            licences.append(module.id)
        else:
            notes.append(
                f"{module.id}: its licence is not accepted, so the gateway will wait; accept it"
                f" there, or read it and render with --accept-license {module.licence_crc}"
            )
    if options.accepts_by_variable:
        return AcceptedModules(tuple(certificates), tuple(licences), tuple(notes))
    return AcceptedModules((), (), (_BY_HAND,))


def require_known_consents(modules: Sequence[RenderedModule], options: RenderOptions) -> None:
    """Raise ConfigurationError for a fingerprint or CRC that matches none of the modules."""
    fingerprints = {each.certificate_sha1 for each in modules}
    fingerprints |= {each.certificate_sha256 for each in modules}
    crcs = {str(each.licence_crc) for each in modules if each.licence_crc is not None}
    unknown = sorted(_fingerprints(options) - fingerprints - {EVERYTHING})
    if unknown:
        raise ConfigurationError(
            f"no requested module has the accepted certificate {unknown[0][:80]!a}; theirs"
            f" are {', '.join(sorted({each.certificate_sha256 for each in modules}))}",
            hint="compare the fingerprint with the publisher's, then give the right one.",
        )
    unknown = sorted({*options.accept_licenses} - crcs - {EVERYTHING})
    if unknown:
        raise ConfigurationError(
            f"no requested module has the accepted licence {unknown[0][:80]!a}; theirs are"
            f" {', '.join(sorted(crcs)) or 'none'}",
            hint="read the licence of the requested version, then give its CRC.",
        )


def _fingerprints(options: RenderOptions) -> set[str]:
    # Browsers and keytool show them in upper case, with colons.
    return {text.replace(":", "").strip().lower() for text in options.accept_certificates}


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
