"""A change of signer: installing what was signed again, with the new certificate accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ign_deploy.errors import ConfigurationError, NotInRepository
from ign_deploy.module.artifacts import VerifiedModule
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.deploy import Deployer, Order
from ign_deploy.pipeline.orders import installation, requested_module

COMMAND = "trust change"
COMMISSIONED = (
    "ACCEPT_MODULE_CERTS and ACCEPT_MODULE_LICENSES count only when a volume is first commissioned:"
    " a volume that is in use needs the entries in its data/modules.json before the gateway starts"
    " with the new files"
)


def change_order(names: Sequence[str], deployer: Deployer) -> Order:
    """Return the order to install the modules; see ``installation``.

    Raises ConfigurationError unless the settings name the certificates to accept.
    """
    require_named_certificates(deployer.context)
    order = replace(installation(names, deployer), command=COMMAND, changes_signer=True)
    for part in order.parts:
        report_originals(part.modules, deployer.context)
    return order


def require_named_certificates(context: RunContext) -> None:
    """Raise ConfigurationError unless exactly the new certificates are accepted, by fingerprint."""
    given = context.settings.accept_certificate
    if not given or any(each.strip().lower() == "yes" for each in given):
        raise ConfigurationError(
            "a change of signer accepts named certificates only, but "
            + ("--accept-certificate yes accepts any" if given else "none was named"),
            hint="give --accept-certificate with the new fingerprint; `ign-deploy trust plan` "
            "shows it.",
        )


def report_originals(modules: Sequence[VerifiedModule], context: RunContext) -> None:
    """Say of each module which version has the same content; warn if its record names none.

    The record counts for its own file only: another one may have the same version.
    """
    for module in modules:
        module_id, version = module.descriptor.id, module.descriptor.version
        try:
            record = context.repository.fetch(module_id, version=version)
        except NotInRepository:
            record = None
        is_published = record is not None and record.module_file.sha256 == module.sha256
        original = record.resigned_from if record is not None and is_published else None
        if original:
            context.reporter.info(
                f"{module_id} {version} is re-signed from {original}, with the same content"
            )
        else:
            context.reporter.warning(
                f"{module_id} {version} isn't published as re-signed: not only the signer changes"
            )


@dataclass(frozen=True, slots=True)
class ContainerFiles:
    """What gateways in containers need to load the modules: variables, and entries by module id."""

    variables: Mapping[str, str]
    entries: Mapping[str, Any]
    notes: tuple[str, ...]


def container_files(names: Sequence[str], deployer: Deployer) -> ContainerFiles:
    """Return what gateways in containers need; nothing is installed.

    Raises ConfigurationError for a fingerprint or CRC that isn't that of the modules, or if
    something isn't accepted.
    """
    from ign_deploy.deployment.gateway.model import Upload, require_consent
    from ign_deploy.deployment.gateway.module_file import ModuleFile
    from ign_deploy.deployment.gateway.modules_json import ModulesJson
    from ign_deploy.pipeline.gateways import deploy_options
    from ign_deploy.render.consent import AcceptedModules

    require_named_certificates(deployer.context)
    accept = deploy_options(deployer.context, obtain=deployer.obtain).accept
    modules = [requested_module(name, deployer) for name in names]
    accept.require_use(modules)
    report_originals(modules, deployer.context)
    manifest = ModulesJson({})
    for module in modules:
        # As the rendered files mount it, and as `install` calls it in a folder.
        file_name = f"{module.descriptor.id}.modl"
        upload = Upload(module, file_name, certificate_accepted=False,
                        license_accepted=module.licence_crc is None)  # fmt: skip
        require_consent(upload, accept.consent_to(module), host="a gateway in a container")
        manifest = manifest.with_module(ModuleFile.of(module), file_name=file_name)
    accepted = AcceptedModules(
        tuple(module.descriptor.id for module in modules),
        tuple(module.descriptor.id for module in modules if module.licence_crc is not None),
        (COMMISSIONED,),
    )
    return ContainerFiles(accepted.variables(), manifest.entries, accepted.notes)
