"""Which bucket a repository is in, and the URLs of its objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlencode, urlsplit

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.aws import AwsSettings
from ign_deploy.net.credentials import is_this_machine, origin
from ign_deploy.net.response import NO_HEADERS
from ign_deploy.repositories.access import Access, split_store_url

_OPTIONS = frozenset({"endpoint", "region", "path-style"})
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_PREFIX = 400
_BOOLEANS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Bucket:
    """A prefix of a bucket; ``prefix`` has no slash at either end, empty for the whole bucket.

    ``root`` is the bucket's URL at the server, the bucket being part of its path or of its host.
    """

    name: str
    prefix: str
    root: str
    region: str

    @property
    def host(self) -> str:
        """The server, as messages name it."""
        return urlsplit(self.root).netloc

    @property
    def has_own_host(self) -> bool:
        """Whether a server that isn't Amazon's is to have a host name for the bucket."""
        return self.host.startswith(f"{self.name}.") and ".amazonaws.com" not in self.host

    def key(self, path: str) -> str:
        """Return the key of a path in the repository."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def url(self, path: str) -> str:
        """Return the object's address for people; it contains no credentials."""
        return f"s3://{self.name}/{self.key(path)}"

    def request_url(self, path: str | None, query: Mapping[str, str] = NO_HEADERS) -> str:
        """Return the URL of an object, or of the bucket, encoded as its signature needs it."""
        key = "" if path is None else self.key(path)
        url = f"{self.root}/{quote(key, safe='/-_.~')}"
        return f"{url}?{urlencode(query, quote_via=quote, safe='-_.~')}" if query else url


def s3_settings(access: Access) -> AwsSettings:
    """Return the AWS settings of a repository."""
    return AwsSettings(access, what="the S3 repository")


def read_bucket(url: str, *, settings: AwsSettings) -> Bucket:
    """Read ``s3://bucket/prefix?endpoint=…&region=…&path-style=…``.

    ``settings`` supply what the URL omits. Path style defaults to true with a configured
    endpoint, which rarely has a host name for each bucket. Raises ConfigurationError; no message
    repeats the URL.
    """
    if url.lower().startswith("s3://arn:"):
        raise ConfigurationError(
            "the repository URL names an S3 access point by its ARN, which is not supported",
            hint="write the access point's alias in place of the bucket: s3://ALIAS-s3alias/prefix.",
        )
    parts = split_store_url(url, options=_OPTIONS)
    if _BUCKET.fullmatch(parts.host) is None:
        raise ConfigurationError(
            "the repository URL has no valid bucket name: 3 to 63 lower-case letters, digits, "
            ". and -",
            hint="write s3://bucket/prefix; put a server of your own in ?endpoint=https://….",
        )
    region = parts.options.get("region", "") or settings.region
    if _REGION.fullmatch(region) is None:
        raise ConfigurationError(
            "the region of the S3 repository may contain only lower-case letters, digits and -",
            hint="write it like eu-central-1, in the URL (?region=…) or in AWS_REGION.",
        )
    style = parts.options.get("path-style", "")
    if style and style not in _BOOLEANS:
        raise ConfigurationError(
            "path-style in the repository URL must be true or false", hint="fix the URL."
        )
    prefix = _prefix(parts.path)
    endpoint = _endpoint(parts.options.get("endpoint", "") or settings.endpoint())
    # Amazon's certificate is for one label below its host only.
    by_path = _BOOLEANS[style] if style else bool(endpoint) or "." in parts.host
    scheme, _, server = (endpoint or f"https://{settings.amazon_host(region)}").partition("://")
    root = f"{server}/{parts.host}" if by_path else f"{parts.host}.{server}"
    return Bucket(parts.host, prefix, f"{scheme}://{root}", region)


def _endpoint(text: str) -> str:
    if not text:
        return ""
    scheme, host, _ = origin(text)
    parts = urlsplit(text)
    if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ConfigurationError(
            "the endpoint of the S3 repository has more than scheme, host and port",
            hint="write it like https://minio.example:9000.",
        )
    # Keys are never sent, but modules could be changed in transit, and session tokens read.
    if scheme == "http" and not is_this_machine(host):
        raise ConfigurationError(
            f"the endpoint http://{host} is not encrypted: modules could be changed, and session "
            "tokens read, in transit",
            hint="use https://; http:// is for this machine only.",
        )
    return f"{scheme}://{parts.netloc}"


def _prefix(path: str) -> str:
    prefix = unquote(path).strip("/")
    parts = prefix.split("/") if prefix else []
    if not prefix.isprintable() or {"", ".", ".."} & set(parts) or len(prefix) > _MAX_PREFIX:
        raise ConfigurationError(
            "the path in the repository URL is not a valid key prefix: it has an empty part, '.', "
            f"'..', a control character, or more than {_MAX_PREFIX} characters",
            hint="write s3://bucket/folder/folder.",
        )
    return prefix
