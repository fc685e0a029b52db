"""The client of botocore: one try per request, our time-outs, certificates, proxies and keys."""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ign_deploy import __version__
from ign_deploy.errors import ConfigurationError, RepositoryError
from ign_deploy.net.proxies import proxies_from
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.address import DEFAULT_REGION, Address

# While a body is sent, the time-out for connecting is in force for each piece of it.
_CONNECT = 30.0
_READ = 60.0
_CONNECTIONS = 16
_MAX_ANSWER = 16 << 20
_SIGNATURE = "ign-deploy-s3v4"


@dataclass(frozen=True, slots=True)
class Keys:
    """A pair of keys, with the token of a session where there is one; ``repr`` shows no secret."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


def read_keys(access: Access) -> Keys | None:
    """Return the keys that were given; None leaves it to botocore to find some.

    Raises ConfigurationError for half a pair, or for keys with a line break.
    """
    env = access.env
    if access.username or access.password:
        keys, names = Keys(access.username, access.password), "REPOSITORY_USERNAME and _PASSWORD"
    else:
        keys = Keys(
            env.get("AWS_ACCESS_KEY_ID", ""),
            env.get("AWS_SECRET_ACCESS_KEY", ""),
            env.get("AWS_SESSION_TOKEN", ""),
        )
        names = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if not keys.id and not keys.secret:
        return None
    if not keys.id or not keys.secret:
        raise ConfigurationError(
            f"of {names}, only one is set", hint="set both, or none to use a role or a profile."
        )
    if not (keys.id + keys.secret + keys.token).isprintable():
        raise ConfigurationError(
            f"{names} have a line break or a control character",
            hint="store the secrets without a newline at their end.",
        )
    return keys


def make_client(address: Address, *, access: Access, keys: Keys | None) -> Any:
    """Return a client for S3; with keys of ours, nothing of the machine's configuration is read.

    Raises ConfigurationError when the CA file isn't there, or for a proxy that is no URL.
    """
    from botocore.config import Config

    if access.ca is not None and not access.ca.is_file():
        raise ConfigurationError(
            f"the CA certificates {access.ca} are not a file",
            hint="mend the path, or leave it out.",
        )
    session = _session(is_closed=keys is not None)
    region = address.region or session.get_config_variable("region") or DEFAULT_REGION
    given = {} if keys is None else _given(keys)
    client = session.create_client(
        "s3",
        region_name=region,
        endpoint_url=address.endpoint or None,
        verify=True if access.ca is None else str(access.ca),
        config=Config(
            retries={"total_max_attempts": 1},
            connect_timeout=_CONNECT,
            read_timeout=_READ,
            max_pool_connections=_CONNECTIONS,
            proxies=proxies_from(access.env, address.asked),
            s3={"addressing_style": "path" if address.path_style else "virtual"},
            # Uploads carry our own checksum; others would be sent in chunks, with a trailer that
            # many servers don't know.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            ignore_configured_endpoint_urls=True,
            user_agent_extra=f"ign-deploy/{__version__}",
        ),
        **given,
    )
    _teach(client)
    return client


def _given(keys: Keys) -> dict[str, str | None]:
    return {
        "aws_access_key_id": keys.id,
        "aws_secret_access_key": keys.secret,
        "aws_session_token": keys.token or None,
    }


def _session(*, is_closed: bool) -> Any:
    """Return a session; a closed one looks at no variable and no file of the machine."""
    from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES as KNOWN
    from botocore.session import Session

    if not is_closed:
        return _with_loader(Session())
    closed = {name: (None, None, default, kind) for name, (_, _, default, kind) in KNOWN.items()}
    for name in ("config_file", "credentials_file"):
        closed[name] = (None, None, os.devnull, None)
    return _with_loader(Session(session_vars=closed))


def _with_loader(session: Any) -> Any:
    session.register_component("data_loader", _loader())
    return session


@cache
def _loader() -> Any:
    """Return what reads the descriptions of services, each once in a process."""
    from botocore.loaders import Loader

    return Loader()


def _teach(client: Any) -> None:
    """Change what botocore does by itself where it doesn't suit us."""
    _know_signature()
    events = client.meta.events
    events.register_first("choose-signer.s3", lambda **_: _SIGNATURE)
    events.register("before-call.s3", _before_call)
    events.register_first("before-parse.s3", _before_parse)


def _know_signature() -> None:
    """Let signatures cover the body by the checksum that we state: nothing is hashed twice.

    Every S3 server refuses a body that isn't what was signed, also those that don't know the
    newer checksums. And the body need not be rewound, so nobody below can send half of it.
    """
    from botocore.auth import AUTH_TYPE_MAPS, S3SigV4Auth

    if _SIGNATURE in AUTH_TYPE_MAPS:
        return

    class Signature(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
        def payload(self, request: Any) -> str:
            checksum = request.headers.get("x-amz-checksum-sha256")
            if checksum and request.method == "PUT":
                return base64.b64decode(checksum).hex()
            known: str = super().payload(request)
            return known

    AUTH_TYPE_MAPS[_SIGNATURE] = Signature


def _before_call(*, params: dict[str, Any], context: dict[str, Any], **_: Any) -> None:
    # A bucket of another region is an error to be told, not to be sent another request for.
    context.setdefault("s3_redirect", {})["redirected"] = True
    # Waiting for the go-ahead costs a round trip, and a second where the server doesn't know it.
    if hasattr(params.get("body"), "getvalue"):
        params["headers"].pop("Expect", None)


def _before_parse(*, response_dict: dict[str, Any], **_: Any) -> None:
    """Keep what isn't S3's from the XML parser: document types, and answers without an end."""
    body = response_dict.get("body")
    if not isinstance(body, bytes):
        return
    if len(body) <= _MAX_ANSWER and b"<!DOCTYPE" not in body and b"<!ENTITY" not in body:
        return
    if response_dict["status_code"] < 300:
        raise RepositoryError(
            f"the answer isn't S3's: it has a document type, or more than {_MAX_ANSWER >> 20} MB",
            hint="check that the endpoint in the repository URL is the S3 server's.",
        )
    response_dict["body"] = b""
