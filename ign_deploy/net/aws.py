"""The standard AWS settings and credentials, as a given environment and its files have them."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from botocore.config import Config
from botocore.credentials import (
    AssumeRoleWithWebIdentityProvider,
    ContainerProvider,
    Credentials,
    ReadOnlyCredentials,
)
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as BrokenConnection
from botocore.regions import EndpointResolver
from botocore.session import Session

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.credentials import require_web_address
from ign_deploy.net.proxies import proxies_from

_DEFAULT_REGION = "us-east-1"
_STS = "https://sts.amazonaws.com"
_FILES = {"config_file": "config", "credentials_file": "credentials"}
_WEB_IDENTITY = (
    ("web_identity_token_file", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ("role_arn", "AWS_ROLE_ARN"),
    ("role_session_name", "AWS_ROLE_SESSION_NAME"),
)
# All read os.environ; the first is replaced below, the files of the others are long obsolete.
_REMOVED = ("env", "ec2-credentials-file", "boto-config")


class AwsAccess(Protocol):
    """What the run was given: its environment, and keys and CA of its own."""

    @property
    def env(self) -> Mapping[str, str]:
        """The variables."""

    @property
    def username(self) -> str:
        """The ID of a key that comes before all others; empty for none."""

    @property
    def password(self) -> str:
        """The secret of that key."""

    @property
    def ca(self) -> Path | None:
        """A PEM file with the CA of a server of one's own."""


class AwsSettings:
    """Region, endpoint and credentials, from where every AWS tool takes them.

    Variables are those of ``access.env``, never the process's; files are the ones that they name,
    else those in HOME. ``what`` they are for is in messages. The role of an EC2 machine is used
    only if ``asks_machine``. Raises ConfigurationError for settings that can't be used.
    """

    def __init__(self, access: AwsAccess, *, what: str, asks_machine: bool = True) -> None:
        self._access = access
        self._env = access.env
        self._what = what
        self._asks_machine = asks_machine
        self._session = _open_session(access.env)
        self._lock = threading.Lock()
        self._found: Any = None

    @property
    def region(self) -> str:
        """The region of the environment, else of the profile, else Amazon's first."""
        return self.named_region or _DEFAULT_REGION

    @property
    def named_region(self) -> str:
        """The region of the environment, else of the profile; empty if none is named."""
        return self._env.get("AWS_REGION", "").strip() or self._get("region") or ""

    def endpoint(self, service: str = "s3") -> str:
        """Return the URL that is configured for a service; empty for Amazon's own."""
        if self._get("ignore_configured_endpoint_urls"):
            return ""
        with _explained(self._what):
            profile = self._session.get_scoped_config()
        services = self._session.full_config.get("services", {}).get(profile.get("services"), {})
        found: str = (
            self._env.get(f"AWS_ENDPOINT_URL_{service.upper()}")
            or self._env.get("AWS_ENDPOINT_URL")
            or services.get(service, {}).get("endpoint_url")
            or profile.get("endpoint_url", "")
        )
        return found.strip()

    def amazon_host(self, region: str, service: str = "s3") -> str:
        """Return the host name of Amazon's own service in a region."""
        names = ("use_dualstack_endpoint", "use_fips_endpoint")
        data = self._session.get_component("data_loader").load_data("endpoints")
        with _explained(self._what):
            found: dict[str, str] | None = EndpointResolver(data).construct_endpoint(
                service, region, **{name: bool(self._get(name)) for name in names}
            )
        if found is None:
            raise ConfigurationError(
                f"Amazon has no region {region}",
                hint=f"correct the region of {self._what}, or AWS_REGION.",
            )
        return found["hostname"]

    def credentials(self) -> ReadOnlyCredentials:
        """Return credentials that are valid now: fetched or refreshed if need be."""
        with _explained(self._what):
            with self._lock:
                self._found = self._found or self._find_credentials()
            if self._found is None:
                raise ConfigurationError(
                    f"no credentials found for {self._what}",
                    hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the job a role "
                    "(OIDC: AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE).",
                )
            frozen = self._found.get_frozen_credentials()
        if not f"{frozen.access_key}{frozen.secret_key}{frozen.token or ''}".isprintable():
            raise ConfigurationError(
                f"the credentials of {self._what} contain a line break or a control character",
                hint="store the secrets without a trailing newline.",
            )
        return frozen

    def _find_credentials(self) -> Any:
        access, env, session = self._access, self._env, self._session
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        given = {
            "REPOSITORY_USERNAME and REPOSITORY_PASSWORD": (access.username, access.password, ""),
            " and ".join(names[:2]): tuple(env.get(name, "") for name in names),
        }
        for pair, (key, secret, token) in given.items():
            if key and secret:
                return Credentials(key, secret, token or None)
            if key or secret:
                raise ConfigurationError(
                    f"only one of {pair} is set",
                    hint="set both, or neither to use a role or a profile.",
                )
        session.set_config_variable("region", self.region)
        session.set_default_client_config(Config(proxies=proxies_from(env, _STS)))
        session.set_config_variable("ca_bundle", self._ca_bundle())
        chain = session.get_component("credential_provider")
        for provider in (self._web_identity(), ContainerProvider(environ=env)):
            chain.insert_after(provider.METHOD, provider)
            chain.remove(provider.METHOD)  # the first of that name, which reads os.environ
        for method in _REMOVED:
            chain.remove(method)
        if not self._asks_machine or env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            chain.remove("iam-role")
        return session.get_credentials()

    def _ca_bundle(self) -> str | bool:
        """Return what proves the server of the credentials: never REQUESTS_CA_BUNDLE.

        That is AWS_CA_BUNDLE, else the CA of the store for a server of one's own, else that of
        SSL_CERT_FILE; True for the public CAs.
        """
        ca = self._access.ca
        is_ours = bool(self.endpoint("sts") or self._env.get("SSL_CERT_FILE"))
        return self._get("ca_bundle") or (str(ca) if ca is not None and is_ours else True)

    def _web_identity(self) -> Any:
        profile = self._get("profile") or "default"

        def load_config() -> dict[str, Any]:
            given = {key: self._env[name] for key, name in _WEB_IDENTITY if self._env.get(name)}
            stored = self._session.full_config["profiles"].get(profile, {})
            return {"profiles": {profile: stored | given}}

        def create_client(service: str, **options: Any) -> Any:
            endpoint = self.endpoint(service) or None
            if endpoint is not None:  # it gets the identity token
                require_web_address(endpoint, what=f"AWS {service.upper()} (AWS_ENDPOINT_URL)")
            return self._session.create_client(service, endpoint_url=endpoint, **options)

        return AssumeRoleWithWebIdentityProvider(
            load_config, create_client, profile, disable_env_vars=True
        )

    def _get(self, name: str) -> Any:
        with _explained(self._what):
            return self._session.get_config_variable(name)


def _open_session(env: Mapping[str, str]) -> Any:
    """Return a session that takes its variables from ``env`` alone."""
    known = Session.SESSION_VARIABLES
    session = Session(
        session_vars={name: (key, None, *rest) for name, (key, _, *rest) in known.items()}
    )
    home = env.get("HOME", "")
    for name, file in _FILES.items():
        session.set_config_variable(name, f"{home}/.aws/{file}" if home else os.devnull)
    for name, (_, variables, *_) in known.items():
        for variable in [variables] if isinstance(variables, str) else variables or ():
            if env.get(variable):
                session.set_config_variable(name, env[variable])
                break
    return session


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn botocore's errors into ours; theirs may quote what is secret."""
    try:
        yield
    except (HTTPClientError, BrokenConnection) as cause:
        raise NetworkError(
            f"cannot fetch the credentials of {what} ({type(cause).__name__})",
            hint="check the network, the proxy, and AWS_ENDPOINT_URL.",
        ) from cause
    except (BotoCoreError, ClientError) as cause:
        raise ConfigurationError(
            f"cannot use the AWS settings of {what} ({type(cause).__name__})",
            hint="check AWS_PROFILE and the other AWS_… variables; run `aws sts "
            "get-caller-identity` for details.",
        ) from cause
