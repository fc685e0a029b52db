"""Requests to one bucket: signed, and repeated only by the one retry policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Container, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote_plus

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from ign_deploy.errors import NetworkError, RepositoryError
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import origin
from ign_deploy.net.errors import TransientResponse
from ign_deploy.net.proxies import proxies_from
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS, Response, parse_xml
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.net.session import HttpSession, open_http_session
from ign_deploy.net.upload import UploadSource
from ign_deploy.report import Progress, Reporter
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.s3.bucket import Bucket, read_bucket, s3_settings
from ign_deploy.repositories.backends.s3.errors import (
    error_fields,
    not_s3,
    raise_for_transient_code,
    s3_error,
)

if TYPE_CHECKING:
    from requests import PreparedRequest

CHECKSUM = "x-amz-checksum-sha256"
_BODY_DIGEST = "x-amz-content-sha256"
_SIGNED = frozenset({"content-type", "if-match", "if-none-match"})
_MAX_RESPONSE = 16 << 20
_BY_PATH = (
    " If the server has no host name for each bucket, remove path-style=false from the repository "
    "URL."
)
_MOST_PAGES = 10_000
_METHODS = {
    "AbortMultipartUpload": "DELETE",
    "CompleteMultipartUpload": "POST",
    "CreateMultipartUpload": "POST",
    "DeleteObject": "DELETE",
    "GetObject": "GET",
    "HeadObject": "HEAD",
    "ListMultipartUploads": "GET",
    "ListObjectsV2": "GET",
    "ListParts": "GET",
    "PutObject": "PUT",
}


class S3Auth:
    """Signs requests to the bucket's server, their bodies included; a redirect gets nothing."""

    def __init__(self, bucket: Bucket, *, credentials: Callable[[], ReadOnlyCredentials]) -> None:
        self._bucket = bucket
        self._credentials = credentials

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Add the signature; the digest of a streamed body has to be among the headers."""
        url = request.url or ""
        if origin(url) != origin(self._bucket.root):
            return request
        headers = {
            name: value
            for name, value in request.headers.items()
            if name.lower() in _SIGNED or name.lower().startswith("x-amz-")
        }
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        digest = request.headers.get(_BODY_DIGEST) or hashlib.sha256(body).hexdigest()
        signed = AWSRequest(method=request.method, url=url, headers=headers)
        _Signature(digest, self._credentials(), region=self._bucket.region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


class _Signature(S3SigV4Auth):  # type: ignore[misc]  # botocore has no types
    """Signs a body by its digest: a file is not read twice, and nothing below can rewind it.

    Every S3 server rejects a body that isn't what was signed, also those without the newer
    checksums.
    """

    def __init__(self, digest: str, credentials: ReadOnlyCredentials, *, region: str) -> None:
        super().__init__(credentials, "s3", region)
        self._digest = digest

    def payload(self, *_: AWSRequest) -> str:
        """Return the digest of the body."""
        return self._digest


class Entry(NamedTuple):
    """What is in a folder; ``modified`` is the store's time in ISO 8601, empty for a folder."""

    name: str
    modified: str = ""
    is_folder: bool = False


class S3Client(Client):
    """Operations on one bucket by S3's names for them (``PutObject``); paths become keys.

    ``checksums`` is turned off for a store that refuses to compute any (``x-amz-checksum-…``).
    """

    def __init__(self, bucket: Bucket, session: HttpSession, *, reporter: Reporter) -> None:
        super().__init__(session, reporter=reporter, redirects=False, error=RepositoryError)
        self.bucket = bucket
        self.checksums = True

    def call(
        self,
        operation: str,
        path: str | None = None,
        *,
        body: bytes = b"",
        headers: Mapping[str, str] = NO_HEADERS,
        query: Mapping[str, str] = NO_HEADERS,
        limit: int = _MAX_RESPONSE,
        expect: Container[int | str] = (),
        retry: RetryPolicy | None = None,
    ) -> Response:
        """Make a small request; at most ``limit`` bytes of the response are read.

        The response may be a refusal whose status or code is in ``expect``. Raises S3Error for any
        other, NetworkError when there is no response.
        """
        if operation == "PutObject":
            headers = {**self._checksum_headers(hashlib.sha256(body).hexdigest()), **headers}
        try:
            response = self.request(
                _METHODS[operation],
                self.bucket.request_url(path, query),
                title=operation,
                body=body,
                headers=headers,
                limit=limit,
                truncate=True,
                expect=ANY_STATUS,
                retry=retry,
            )
        except NetworkError as problem:
            if self.bucket.has_own_host and not isinstance(problem, TransientResponse):
                problem.hint += _BY_PATH
            raise
        return self._require_success(operation, response, expect=expect)

    def send(
        self,
        operation: str,
        path: str,
        source: UploadSource,
        *,
        title: str,
        progress: Progress,
        query: Mapping[str, str] = NO_HEADERS,
    ) -> Response:
        """Send a file, or a part of one; the server compares it with its digest as well."""
        response = self.upload(
            "PUT",
            self.bucket.request_url(path, query),
            source=source,
            title=title,
            progress=progress,
            headers={_BODY_DIGEST: source.sha256, **self._checksum_headers(source.sha256)},
            expect=ANY_STATUS,
        )
        return self._require_success(operation, response)

    def attempt(self, method: str, path: str = "", **options: Any) -> Response:
        """See ``Client.attempt``; S3 also says with 400 and 409 that trying again helps."""
        response = super().attempt(method, path, **options)
        if not response.ok or method == "POST":
            raise_for_transient_code(response)
        return response

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what is directly in a folder; names that ign-deploy never writes are skipped."""
        prefix = f"{self.bucket.key(folder)}/"
        for page in self._pages(prefix):
            decode = unquote_plus if page.findtext("{*}EncodingType") == "url" else str
            for each in page.iterfind("{*}Contents"):
                if name := _name_in(prefix, decode(each.findtext("{*}Key", ""))):
                    yield Entry(name, each.findtext("{*}LastModified", ""))
            for each in page.iterfind("{*}CommonPrefixes"):
                key = decode(each.findtext("{*}Prefix", "")).removesuffix("/")
                if name := _name_in(prefix, key):
                    yield Entry(name, is_folder=True)

    def list_page(self, **query: str) -> Any:
        """Return a page of a listing as parsed XML."""
        response = self.call("ListObjectsV2", query={"list-type": "2", **query})
        page = parse_xml(response.body)
        if page is None or page.tag.rpartition("}")[2] != "ListBucketResult":
            raise not_s3("ListObjectsV2", self.bucket)
        return page

    def _pages(self, prefix: str) -> Iterator[Any]:
        query = {"prefix": prefix, "delimiter": "/", "encoding-type": "url"}
        seen = {""}
        while len(seen) <= _MOST_PAGES:
            page = self.list_page(**query)
            yield page
            if page.findtext("{*}IsTruncated") != "true":
                return
            token = page.findtext("{*}NextContinuationToken", "")
            if token in seen:
                raise RepositoryError(
                    f"{self.bucket.host} sent a truncated listing without a new continuation token",
                    hint="check the server's log: its ListObjectsV2 must support continuation.",
                )
            seen.add(token)
            query["continuation-token"] = token
        raise RepositoryError(
            f"{self.bucket.host} sent a listing of more than {_MOST_PAGES} pages",
            hint="check the server's log, and what the bucket contains.",
        )

    def _checksum_headers(self, sha256: str) -> dict[str, str]:
        if not self.checksums:
            return {}
        return {"x-amz-sdk-checksum-algorithm": "SHA256", CHECKSUM: checksum_of(sha256)}

    def _require_success(
        self, operation: str, response: Response, *, expect: Container[int | str] = ()
    ) -> Response:
        # CompleteMultipartUpload may fail after its status has been sent.
        if response.ok and not (operation == "CompleteMultipartUpload" and error_fields(response)):
            return response
        problem = s3_error(operation, response, bucket=self.bucket)
        if problem.status in expect or problem.code in expect:
            return response
        raise problem


def _name_in(prefix: str, key: str) -> str:
    name = key.removeprefix(prefix) if key.startswith(prefix) else ""
    return name if name.isprintable() and "/" not in name and name not in {".", ".."} else ""


def open_client(url: str, *, access: Access) -> S3Client:
    """Return a client for the bucket of a repository URL; no request is made yet."""
    settings = s3_settings(access)
    bucket = read_bucket(url, settings=settings)
    session = open_http_session(
        ca=access.ca,
        proxies=partial(proxies_from, access.env),
        auth=S3Auth(bucket, credentials=settings.credentials),
    )
    return S3Client(bucket, session, reporter=access.reporter)


def checksum_of(sha256: str) -> str:
    """Return the Base64 of a SHA-256 in hex, as S3's headers have it."""
    return base64.b64encode(bytes.fromhex(sha256)).decode()
