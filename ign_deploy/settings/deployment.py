"""The settings of deployments: gateways, consent, restarts, checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from ign_deploy.settings.source import Lines, Source


class GatewayEntry(BaseModel):
    """A gateway as the config file names it, in a table of ``[[gateways]]``.

    ``token_variable`` is the name of the environment variable that holds its token; the other
    fields are as the settings of the same name.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, alias_generator=None
    )

    name: Annotated[str, Field(min_length=1, max_length=100)]
    url: Annotated[str, Field(min_length=1)]
    environment: str = ""
    token_variable: Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")] = ""
    ca: str = ""
    pin: str = ""
    manifest: str = ""
    insecure_http: bool = False


class DeploymentSettings(BaseModel):
    """How modules get onto gateways."""

    gateways: tuple[GatewayEntry, ...] = ()
    """From the config file only."""

    gateway: Annotated[
        Lines,
        Source("A gateway to deploy to: its URL, or its name in the config file; may be repeated."),
    ] = ()
    gateway_token: Annotated[
        SecretStr, Source("The API token of the gateways (NAME:KEY).", secret=True)
    ] = SecretStr("")
    gateway_ca: Annotated[
        str, Source("A private authority's certificates (PEM file), for gateways behind it.")
    ] = ""
    gateway_pin: Annotated[
        str, Source("The SHA-256 fingerprint of the gateway's own TLS certificate.")
    ] = ""
    gateway_manifest: Annotated[
        str, Source("The modules.json of a gateway of 8.3, when --gateway is its modules folder.")
    ] = ""
    insecure_http: Annotated[
        bool, Source("Allow plain http to a gateway on another machine; only without a token.")
    ] = False
    accept_certificate: Annotated[
        Lines, Source("Accept this signer on the gateways: a fingerprint, or yes for any.")
    ] = ()
    accept_license: Annotated[
        Lines, Source("Accept this licence on the gateways: its CRC, or yes for any.")
    ] = ()
    restart: Annotated[
        Literal["never", "if-needed", "always"],
        Source("Whether gateways may be restarted, which stops a plant's gateway for minutes."),
    ] = "never"
    timeout: Annotated[
        int, Field(gt=0), Source("Seconds until a gateway must run the new version.")
    ] = 300
    allow_downgrade: Annotated[
        bool, Source("Allow an older version than the one on the gateway.")
    ] = False
    health_url: Annotated[
        Lines,
        Source("This URL, or path on the gateway, must answer afterwards; may be repeated."),
    ] = ()
    health_status: Annotated[
        int, Field(ge=100, le=599), Source("The status that health URLs must answer.")
    ] = 200
    health_text: Annotated[str, Source("A text that the answer of health URLs must hold.")] = ""
    health_command: Annotated[
        str, Source("A command that must succeed afterwards, for each gateway.")
    ] = ""
    wave_size: Annotated[
        int, Field(ge=1), Source("How many gateways are done at once; 1: one after the other.")
    ] = 1
    canary: Annotated[bool, Source("Do the first gateway alone, and go on only if it works.")] = (
        False
    )
    all_or_nothing: Annotated[
        bool, Source("If one gateway fails, roll back those that had succeeded, too.")
    ] = False
    to: Annotated[str, Source("The version to roll back to, or the environment to promote to.")] = (
        ""
    )
