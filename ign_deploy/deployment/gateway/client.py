"""Requests to one gateway, and its responses: as data, or as errors that say what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from ign_deploy.deployment.gateway.denied import forbidden_error, unauthorized_error
from ign_deploy.deployment.gateway.errors import GatewayRequestError
from ign_deploy.errors import ConfigurationError, DeploymentError, IgnDeployError
from ign_deploy.module.findings import quoted
from ign_deploy.net.client import Client
from ign_deploy.net.credentials import HostAuth, is_private, origin
from ign_deploy.net.response import ANY_STATUS, NO_HEADERS, Response
from ign_deploy.net.retry import Deadline, RetryPolicy
from ign_deploy.net.session import TIMEOUT, HttpSession, open_http_session
from ign_deploy.report import Progress, Reporter, no_progress

if TYPE_CHECKING:
    from ign_deploy.deployment.gateway import GatewayAccess
    from ign_deploy.deployment.gateway.schema import ChangeResponse
    from ign_deploy.net.upload import UploadSource

    Parsed = TypeVar("Parsed", bound=ChangeResponse)

API = "/data/api/v1/"
TOKEN_HEADER = "X-Ignition-API-Token"  # noqa: S105 - the name of a header
# A page of modules with their stack traces is far below this; parsed, JSON needs much more memory.
MAX_RESPONSE = 4 << 20
_NO_REASON = "it gave no reason"


@dataclass(frozen=True, slots=True)
class SentRequest:
    """A request as it was made; ``path`` has its query, ``is_anonymous``: without a token."""

    method: str
    path: str
    body: Sized
    headers: Mapping[str, str]
    is_anonymous: bool


class Observer(Protocol):
    """Gets every attempt of a request, with the response or the error that came of it."""

    def __call__(self, request: SentRequest, result: Response | IgnDeployError, /) -> None:
        """Take note of an attempt."""


class GatewayClient(Client):
    """Requests to the gateway at ``base``, called ``name`` in messages, else by its address.

    ``token`` is only for keeping it out of messages; they name the ``token_variable``.

    ``observe`` gets each attempt and what came of it.
    """

    retry: RetryPolicy

    def __init__(
        self,
        session: HttpSession,
        *,
        base: str,
        reporter: Reporter,
        retry: RetryPolicy,
        token: str = "",
        token_variable: str = "",
        name: str = "",
        observe: Observer | None = None,
    ) -> None:
        super().__init__(
            session,
            base=base,
            headers={"Accept": "*/*"},
            reporter=reporter,
            retry=retry,
            redirects=False,
            error=DeploymentError,
            error_for_response=self.error_for,
        )
        self.host = name or base.partition("://")[2].partition("/")[0]
        self._token = token
        self._token_variable = token_variable
        self._is_accepted = False
        self._observe = observe

    def attempt(
        self,
        method: str,
        path: str = "",
        *,
        title: str,
        body: Sized = b"",
        headers: Mapping[str, str] = NO_HEADERS,
        anonymous: bool = False,
        **options: Any,
    ) -> Response:
        """Make one attempt; see ``Client.attempt``."""

        def report(result: Response | IgnDeployError) -> None:
            if self._observe is not None:
                is_anonymous = anonymous or not self._token
                self._observe(SentRequest(method, path, body, headers, is_anonymous), result)

        try:
            response = super().attempt(
                method, path, title=title, body=body, headers=headers, anonymous=anonymous,
                **options,
            )  # fmt: skip
        except IgnDeployError as problem:
            report(problem)
            raise
        if response.ok and not anonymous and path.startswith(API):
            self._is_accepted = True
        report(response)
        return response

    def get(
        self,
        path: str,
        *,
        title: str,
        query: Mapping[str, str] | None = None,
        retries_timeouts: bool = True,
    ) -> Response:
        """Read, with retries; return the response whatever its status."""
        return self.request(
            "GET",
            _with_query(path, query),
            title=title,
            limit=MAX_RESPONSE,
            expect=ANY_STATUS,
            retry=replace(self.retry, retries_timeouts=retries_timeouts),
        )

    def send(
        self,
        method: str,
        path: str,
        *,
        title: str,
        query: Mapping[str, str] | None = None,
        body: Sized = b"",
        content_type: str = "",
        limit: int | None = None,
    ) -> Response:
        """Make one attempt; return the response whatever its status, unless it is transient."""
        return self.attempt(
            method,
            _with_query(path, query),
            title=title,
            body=body,
            headers={"Content-Type": content_type} if content_type else {},
            limit=limit or MAX_RESPONSE,
            deadline=self.deadline(),
        )

    def deadline(self, seconds: float | None = None) -> Deadline:
        """Return the end of something that begins now: after so many seconds, or the policy's."""
        policy = self.retry if seconds is None else replace(self.retry, deadline=seconds)
        return Deadline(policy, url=self.base)

    def send_module(
        self,
        path: str,
        *,
        source: UploadSource,
        title: str,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
        progress: Progress = no_progress,
    ) -> Response:
        """Send a module's file, again while that may help, so taking it twice must be harmless.

        Returns the response whatever its status. Raises DeploymentError, before the server has all
        of it, if the file isn't ``source`` any more.
        """
        return self.upload(
            "POST",
            _with_query(path, query),
            source=source,
            title=title,
            progress=progress,
            headers={"Content-Type": content_type},
            expect=ANY_STATUS,
            retry=self.retry.extended_for(source.size),
        )

    def parse(self, response: Response, model: type[Parsed]) -> Parsed:
        """Return the document of a successful response.

        Raises GatewayRequestError for any other, including a ``success:false`` inside a 200, and
        DeploymentError for one that isn't a gateway's.
        """
        self.require_success(response)
        parsed = model.model_validate(self._fields(response))
        reason = parsed.failure_reason()
        if reason is not None:
            raise self._rejected(response, self.clean(reason))
        return parsed

    def require_success(self, response: Response) -> None:
        """Raise GatewayRequestError, or DeploymentError, unless the status is 2xx."""
        if not response.ok:
            raise self.error_for(response)

    def no_api(self, response: Response) -> DeploymentError:
        """Return the error for a URL that isn't the API of a gateway."""
        what = "a web page" if is_html(response) else "something other than JSON"
        return DeploymentError(
            f"{response.title} failed: {self.host} sent {what}, so it isn't the gateway's API",
            hint="check the URL and its port; gateways before 8.3 have no API.",
        )

    def clean(self, text: str) -> str:
        """Return untrusted text quoted, short, and without our token."""
        if self._token:
            text = text.replace(self._token, "***")
        return quoted(text) if text else ""

    def error_for(self, response: Response) -> DeploymentError:
        """Return the error for a response that isn't a success."""
        if response.status == 401:
            return unauthorized_error(
                response,
                host=self.host,
                has_token=bool(self._token),
                variable=self._token_variable,
                is_accepted=self._is_accepted,
            )
        reason = self._reason(response)
        if response.status == 403:
            is_page = is_html(response)
            return forbidden_error(response, host=self.host, reason=reason, is_page=is_page)
        if is_html(response):
            return self.no_api(response)
        return self._rejected(response, f"{response.status}, {reason}")

    def _rejected(self, response: Response, reason: str) -> GatewayRequestError:
        return GatewayRequestError(
            f"{response.title} failed: {self.host} rejected it: {reason}",
            hint="check the gateway's log for the reason.",
            status=response.status,
        )

    def _reason(self, response: Response) -> str:
        """Return the gateway's own explanation of an error, safe to show."""
        from ign_deploy.deployment.gateway.schema import ChangeResponse

        parsed = ChangeResponse.model_validate(response.fields())
        return self.clean(parsed.problem.message or parsed.message) or _NO_REASON

    def _fields(self, response: Response) -> dict[str, Any]:
        # The response to some changes is empty, or a bare true.
        if response.body.strip():
            try:
                response.json()
            except ValueError:
                raise self.no_api(response) from None
        if is_html(response):
            raise self.no_api(response)
        return response.fields()


def is_html(response: Response) -> bool:
    """Return whether the body is a web page, whatever its type is called."""
    kind = response.headers.get("Content-Type", "").lower()
    beginning = response.body[:200].lstrip().lower()
    return "html" in kind or beginning.startswith((b"<!doc", b"<html"))


def _with_query(path: str, query: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(query, quote_via=quote)}" if query else path


def open_gateway_client(
    url: str,
    access: GatewayAccess,
    *,
    token: str,
    retry: RetryPolicy,
    reporter: Reporter,
    observe: Observer | None = None,
) -> GatewayClient:
    """Return a client for the gateway at ``url``, with its TLS and ``token``; requests nothing yet.

    Raises ConfigurationError for a URL, token or TLS setting that can't be used safely.
    """
    base = parse_gateway_url(url, allow_insecure_http=access.allow_insecure_http)
    if access.pin is not None and not base.startswith("https://"):
        raise ConfigurationError(
            "a TLS fingerprint was given for a gateway without TLS",
            hint="use https://, or remove the fingerprint.",
        )
    auth = None
    if token:
        _require_token(token)
        reporter.mask(token)
        auth = HostAuth(token, url=base, name=TOKEN_HEADER)
    session = open_http_session(
        ca=access.ca,
        pin=access.pin,
        proxies=access.proxies,
        auth=auth,
        stall=min(TIMEOUT[1], retry.deadline),
    )
    return GatewayClient(
        session,
        base=base,
        reporter=reporter,
        retry=retry,
        token=token,
        token_variable=access.token_variable,
        name=access.name,
        observe=observe,
    )


def parse_gateway_url(text: str, *, allow_insecure_http: bool = False) -> str:
    """Return the gateway's base URL, without a trailing slash.

    A path is kept, for gateways behind a proxy. Raises ConfigurationError, without repeating the
    URL, if it has credentials or a query, or is unencrypted http to another machine and that isn't
    allowed.
    """
    if not text.isprintable() or " " in text:
        raise ConfigurationError(
            "the gateway URL contains a space or a control character", hint="fix the URL."
        )
    scheme, host, port = origin(text)
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise ConfigurationError(
            f"the URL of the gateway at {host} contains credentials, which would show up in logs",
            hint="remove them, and set the API token as IGN_DEPLOY_GATEWAY_TOKEN.",
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"the URL of the gateway at {host} has a query or a fragment",
            hint="give only its address, such as https://gateway.example:8043.",
        )
    if not allow_insecure_http and not is_private(text):
        raise ConfigurationError(
            f"http://{host} would send the module unencrypted; anyone on the way could change it",
            hint="use https://, or add --insecure-http if you trust the network.",
        )
    shown = f"[{host}]" if ":" in host else host
    usual = 443 if scheme == "https" else 80
    location = shown if port == usual else f"{shown}:{port}"
    return f"{scheme}://{location}{parts.path.rstrip('/')}"


def _require_token(token: str) -> None:
    name, colon, key = token.partition(":")
    if not (name and colon and key) or not token.isascii() or " " in token:
        raise ConfigurationError(
            "the gateway API token is not in the form NAME:KEY",
            hint="copy the whole token, as the gateway showed it when it was created.",
        )
