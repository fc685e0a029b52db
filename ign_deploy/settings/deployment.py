"""The settings of deployments: gateways, consent, restarts, checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ign_deploy.settings.source import Lines, Source


class GatewayEntry(BaseModel):
    """A gateway in the config file: a table of ``[[gateways]]``.

    ``token_variable`` is the name of the environment variable that contains its token; the other
    fields mean the same as the settings of that name.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        alias_generator=None,
        defer_build=True,
    )

    name: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(min_length=1)]
    environment: str = ""
    token_variable: Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""
    ca: str = ""
    pin: str = ""
    manifest: str = ""
    insecure_http: bool = False


class DeploymentSettings(BaseModel, defer_build=True):
    """How modules are deployed to gateways."""

    gateways: tuple[GatewayEntry, ...] = ()
    """Only from the config file."""

    gateway: Annotated[
        Lines,
        Source("Gateway: its URL, or its name in the config file; repeatable.", metavar="URL|NAME"),
    ] = ()
    gateway_token: Annotated[
        SecretStr, Source("API token of the gateways (NAME:KEY).", secret=True)
    ] = SecretStr("")
    gateway_ca: Annotated[
        str, Source("CA certificates (PEM file) for gateways with a private CA.", metavar="PATH")
    ] = ""
    gateway_pin: Annotated[
        str, Source("SHA-256 fingerprint of the gateway's TLS certificate.", metavar="FINGERPRINT")
    ] = ""
    gateway_manifest: Annotated[
        str,
        Source(
            "File modules.json of an 8.3 gateway, if --gateway is its modules folder.",
            metavar="PATH",
        ),
    ] = ""
    insecure_http: Annotated[
        bool, Source("Allow plain http to a gateway on another machine, without a token.")
    ] = False
    accept_certificate: Annotated[
        Lines,
        Source(
            "Signer to accept on the gateways: fingerprint, or yes for any; repeatable.",
            metavar="FINGERPRINT|yes",
        ),
    ] = ()
    accept_license: Annotated[
        Lines,
        Source(
            "Licence to accept on the gateways: CRC, or yes for any; repeatable.", metavar="CRC|yes"
        ),
    ] = ()
    restart: Annotated[
        Literal["never", "if-needed", "always"],
        Source("Whether gateways may restart, which stops the plant's gateway for minutes."),
    ] = "never"
    timeout: Annotated[
        int,
        Field(gt=0),
        Source("Time limit for a gateway to run the new version.", metavar="SECONDS"),
    ] = 300
    allow_downgrade: Annotated[bool, Source("Allow an older version than the gateway's.")] = False
    allow_uninstall: Annotated[
        bool, Source("Allow taking a module off a gateway when no version can be restored.")
    ] = False
    track_only: Annotated[
        bool, Source("Without a gateway: only record the versions in the environment's history.")
    ] = False
    health_url: Annotated[
        Lines,
        Source("Health check: URL, or path on each gateway; repeatable.", metavar="URL"),
    ] = ()
    health_status: Annotated[
        int, Field(ge=100, le=599), Source("Status that health URLs must return.", metavar="N")
    ] = 200
    health_text: Annotated[str, Source("Text that responses of health URLs must contain.")] = ""
    health_command: Annotated[
        str, Source("Health check: command to run for each gateway.", metavar="COMMAND")
    ] = ""
    wave_size: Annotated[
        int, Field(ge=1), Source("Number of gateways changed at once.", metavar="N")
    ] = 1
    canary: Annotated[
        bool, Source("Deploy to the first gateway alone, and continue only if it works.")
    ] = False
    all_or_nothing: Annotated[
        bool, Source("If one gateway fails, also roll back those that succeeded.")
    ] = False
    wait_for_lock: Annotated[
        int,
        Field(ge=0),
        Source("How long to wait while another run deploys to a gateway.", metavar="SECONDS"),
    ] = 0
    to: Annotated[
        str,
        Source("Version to roll back to, or environment to promote to.", metavar="VERSION|NAME"),
    ] = ""
