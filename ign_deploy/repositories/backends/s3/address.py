"""Where an S3 repository is: bucket, prefix, endpoint and region, out of its URL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.repositories.access import split_store_url

DEFAULT_REGION = "us-east-1"
_OPTIONS = frozenset({"endpoint", "region", "path-style"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_PREFIX = 400
_ANSWERS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Address:
    """A place in a bucket. ``prefix`` has no slash at either end, empty for the whole bucket.

    ``endpoint`` is empty for Amazon's own; ``region`` is empty where neither URL nor environment
    names one. With ``path_style`` the bucket is in the path, else in the host's name.
    """

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = ""
    path_style: bool = False

    @property
    def host(self) -> str:
        """The server, as messages name it."""
        return urlsplit(self.endpoint).netloc or "S3"

    @property
    def asked(self) -> str:
        """The URL that requests go to, as far as proxies care."""
        if self.endpoint:
            return self.endpoint
        return f"https://{self.bucket}.s3.{self.region or DEFAULT_REGION}.amazonaws.com"

    def key(self, path: str) -> str:
        """Return the key of a path in the repository."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def url(self, path: str) -> str:
        """Return what a person calls that place; it holds no credentials."""
        return f"s3://{self.bucket}/{self.key(path)}"


def read_address(url: str, *, env: Mapping[str, str]) -> Address:
    """Read ``s3://bucket/prefix?endpoint=…&region=…&path-style=…``.

    The region defaults to ``AWS_REGION``, then ``AWS_DEFAULT_REGION``; path style to true with an
    endpoint of one's own, which rarely has a host name for each bucket. Raises
    ConfigurationError; no message repeats the URL.
    """
    parts = split_store_url(url, options=_OPTIONS)
    if _BUCKET.fullmatch(parts.host) is None:
        raise ConfigurationError(
            "the repository URL names no bucket: 3 to 63 lower-case letters, digits, . and -",
            hint="write s3://bucket/prefix; a server of your own goes into ?endpoint=https://….",
        )
    endpoint = _endpoint(parts.options.get("endpoint", ""))
    region = parts.options.get("region", "") or _region_of(env)
    if region and _REGION.fullmatch(region) is None:
        raise ConfigurationError(
            "the region of the S3 repository has other characters than lower-case letters, "
            "digits and -",
            hint="write it like eu-central-1, in the URL (?region=…) or in AWS_REGION.",
        )
    style = parts.options.get("path-style", "")
    if style and style not in _ANSWERS:
        raise ConfigurationError(
            "path-style in the repository URL is neither true nor false", hint="mend the URL."
        )
    path_style = _ANSWERS[style] if style else bool(endpoint)
    return Address(parts.host, _prefix(parts.path), endpoint, region, path_style)


def _endpoint(text: str) -> str:
    if not text:
        return ""
    scheme, host, _ = origin(text)
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(
            "the endpoint of the S3 repository has more than scheme, host and port",
            hint="write it like ?endpoint=https://minio.example:9000.",
        )
    # Keys are never sent, but modules could be changed on the way, and session tokens read.
    if scheme == "http" and not is_this_machine(host):
        raise ConfigurationError(
            f"the endpoint http://{host} isn't encrypted: anyone on the way can read and change "
            "what is sent",
            hint="use https://; http:// is for this machine only.",
        )
    return f"{scheme}://{parts.netloc}"


def _region_of(env: Mapping[str, str]) -> str:
    return env.get("AWS_REGION", "").strip() or env.get("AWS_DEFAULT_REGION", "").strip()


def _prefix(path: str) -> str:
    prefix = unquote(path).strip("/")
    parts = prefix.split("/") if prefix else []
    if not prefix.isprintable() or {"", ".", ".."} & set(parts) or len(prefix) > _MAX_PREFIX:
        raise ConfigurationError(
            "the path in the repository URL can't be the beginning of keys: it has an empty part, "
            f"'.', '..', a control character, or more than {_MAX_PREFIX} characters",
            hint="write s3://bucket/folder/folder.",
        )
    return prefix
