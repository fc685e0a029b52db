"""Requests to one gateway, and its answers: as data, or as an error that says what to change."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode

import requests

from ign_deploy.deployment.gateway.errors import GatewayRequestError
from ign_deploy.errors import DeploymentError
from ign_deploy.module.findings import quoted
from ign_deploy.net.credentials import NoAuth
from ign_deploy.net.errors import explain_failure
from ign_deploy.net.retry import RetryPolicy, retrying
from ign_deploy.net.session import Session
from ign_deploy.report import Reporter

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway.schema import ChangeResponse

    Answer = TypeVar("Answer", bound=ChangeResponse)

API = "/data/api/v1/"
# The description of the whole API has a few megabytes.
MAX_ANSWER = 32 << 20
_READ = "read"
_WRITE = "write"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer whose body was read: its status, whether it is HTML, and its bytes."""

    status: int
    is_html: bool
    body: bytes

    def document(self) -> object:
        """Return the JSON, None when it is empty; raises ValueError for what isn't JSON."""
        return json.loads(self.body) if self.body.strip() else None


class Transport:
    """Talks to the gateway at ``base``; every request is one attempt unless it says otherwise."""

    def __init__(
        self,
        session: Session,
        *,
        base: str,
        reporter: Reporter,
        retry: RetryPolicy,
        token: str = "",
    ) -> None:
        self.base = base
        self.host = base.partition("://")[2].partition("/")[0]
        self.reporter = reporter
        self.retry = retry
        self._session = session
        self._token = token

    def get(self, path: str, *, title: str, query: Mapping[str, str] | None = None) -> Reply:
        """Read, again while that may help; returns what came, whatever its status."""
        return retrying(
            lambda: self.send("GET", path, query=query),
            title=f"{self.host}: {title}",
            reporter=self.reporter,
            policy=self.retry,
        )

    def repeating(self, action: Callable[[], Reply], *, title: str) -> Reply:
        """Do what comes out the same when done twice, again while that may help."""
        return retrying(
            action, title=f"{self.host}: {title}", reporter=self.reporter, policy=self.retry
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: IO[bytes] | bytes | None = None,
        content_type: str = "",
        anonymous: bool = False,
        timeout: tuple[float, float] | None = None,
    ) -> Reply:
        """Make one attempt. Raises what the session raises; ``anonymous`` sends no token."""
        url = self.base + path
        if query:
            url += "?" + urlencode(query, quote_via=quote)
        options: dict[str, Any] = {"stream": True, "headers": {"Accept": "*/*"}}
        if body is not None:
            options["data"] = body
        if content_type:
            options["headers"]["Content-Type"] = content_type
        if anonymous:
            options["auth"] = NoAuth()
        if timeout is not None:
            options["timeout"] = timeout
        response = self._session.request(method, url, **options)
        try:
            content = _bounded(response, self.host)
        except (requests.RequestException, OSError) as cause:
            raise explain_failure(url, cause) from cause
        finally:
            response.close()
        kind = response.headers.get("Content-Type", "").lower()
        is_html = "html" in kind or content[:200].lstrip().lower().startswith((b"<!doc", b"<html"))
        return Reply(response.status_code, is_html, content)

    def parse(self, reply: Reply, model: type[Answer], *, doing: str, writes: bool) -> Answer:
        """Return the answer to a successful request.

        Raises GatewayRequestError for anything else, a ``success:false`` inside a 200 included, and
        DeploymentError for what no gateway's API answers. ``doing`` completes "refused …".
        """
        self.require_success(reply, doing=doing, writes=writes)
        answer = model.model_validate(self._object(reply, doing))
        reason = answer.failure_reason()
        if reason is not None:
            raise GatewayRequestError(
                f"{self.host} refused {doing}: {self.clean(reason)}",
                hint="look at the gateway's log for the reason.",
                status=reply.status,
            )
        return answer

    def require_success(self, reply: Reply, *, doing: str, writes: bool) -> None:
        """Raise GatewayRequestError, or DeploymentError, unless the answer is a 2xx."""
        if 200 <= reply.status < 300:
            return
        if 300 <= reply.status < 400:
            raise DeploymentError(
                f"{self.host} redirects {doing} to another address, which isn't followed",
                hint="give the address that it redirects to, mostly https:// instead of http://.",
            )
        if reply.status == 401:
            raise self._unauthorised(doing)
        if reply.status == 403:
            raise self._forbidden(reply, doing, _WRITE if writes else _READ)
        if reply.is_html:
            raise self.no_api(reply, doing)
        raise GatewayRequestError(
            f"{self.host} refused {doing} with {reply.status}: {self.reason(reply)}",
            hint="look at the gateway's log for the reason.",
            status=reply.status,
        )

    def no_api(self, reply: Reply, doing: str) -> DeploymentError:
        """Return the error for an address that isn't the API of a gateway."""
        what = "a web page" if reply.is_html else "something else than JSON"
        return DeploymentError(
            f"{self.host} answered {doing} with {what}: this isn't the gateway's API",
            hint="check the URL and its port; gateways before 8.3 have no API.",
        )

    def reason(self, reply: Reply) -> str:
        """Return the gateway's own explanation of an error, fit to be shown."""
        from ign_deploy.deployment.gateway.schema import ChangeResponse

        try:
            document = reply.document()
        except ValueError:
            return "it gave no reason"
        if not isinstance(document, dict):
            return "it gave no reason"
        outcome = ChangeResponse.model_validate(document)
        return self.clean(outcome.problem.message or outcome.message) or "it gave no reason"

    def clean(self, text: str) -> str:
        """Return foreign text quoted, short, and without our token."""
        if self._token:
            text = text.replace(self._token, "***")
        return quoted(text) if text else ""

    def _object(self, reply: Reply, doing: str) -> dict[str, Any]:
        try:
            document = None if reply.is_html else reply.document()
        except ValueError:
            raise self.no_api(reply, doing) from None
        if reply.is_html:
            raise self.no_api(reply, doing)
        # Some changes are answered with nothing, or with a bare true.
        return document if isinstance(document, dict) else {}

    def _unauthorised(self, doing: str) -> GatewayRequestError:
        if not self._token:
            return GatewayRequestError(
                f"{self.host} wants an API token for {doing}, and none is set",
                hint="make a token under Platform > Security > API Keys of the gateway; set it as "
                "IGN_DEPLOY_GATEWAY_TOKEN.",
                status=401,
            )
        plain = self.base.startswith("http://")
        return GatewayRequestError(
            f"{self.host} doesn't accept the API token (401) for {doing}",
            hint="check the token (NAME:KEY), and that it is enabled on this gateway"
            + ("; use https://, since a token may demand a secure channel." if plain else "."),
            status=401,
        )

    def _forbidden(self, reply: Reply, doing: str, level: str) -> GatewayRequestError:
        return GatewayRequestError(
            f"the API token lacks a security level for {doing} on {self.host} (403): "
            f"{self.reason(reply)}",
            hint=f"grant the token a security level that has the gateway's {level} permission.",
            status=403,
        )


def _bounded(response: requests.Response, host: str) -> bytes:
    content = bytearray()
    for piece in response.iter_content(64 << 10):
        content += piece
        if len(content) > MAX_ANSWER:
            raise DeploymentError(
                f"{host} answered with more than {MAX_ANSWER} bytes; this isn't the gateway's API",
                hint="check the URL and its port.",
            )
    return bytes(content)
