"""Health checks: a URL that must respond as expected, or a command that must succeed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ign_deploy.errors import DeploymentError

if TYPE_CHECKING:
    from ign_deploy.net.response import Response


class HealthCheck(Protocol):
    """A test that a deployment has to pass on each gateway."""

    @property
    def title(self) -> str:
        """What messages call it; never holds a secret."""

    def run(self, gateway: str) -> None:
        """Run it for the gateway at that address; raises DeploymentError if it fails."""


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """A URL must return a status and, if ``text`` is set, contain that text in its response.

    A path is relative to the gateway itself. ``get`` makes the request.
    """

    url: str
    get: Callable[[str], Response]
    status: int = 200
    text: str = ""

    @property
    def title(self) -> str:
        """See ``HealthCheck``; a query may hold a secret."""
        return f"health check {self.url.partition('?')[0]}"

    def run(self, gateway: str) -> None:
        """See ``HealthCheck``."""
        url = self.url if "://" in self.url else f"{gateway.rstrip('/')}/{self.url.lstrip('/')}"
        response = self.get(url)
        if response.status != self.status:
            raise DeploymentError(
                f"{self.title} returned {response.status}, expected {self.status}",
                hint="check the service at that address.",
            )
        if self.text and self.text not in response.body.decode("utf-8", "replace"):
            raise DeploymentError(
                f"{self.title} returned {response.status} without the text {self.text[:100]!r}",
                hint="check the service at that address.",
            )


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A command must exit with code 0; ``execute`` runs it and returns its exit code.

    It gets the gateway's address as IGN_DEPLOY_GATEWAY_URL.
    """

    command: str
    execute: Callable[[str, str], int]

    @property
    def title(self) -> str:
        """See ``HealthCheck``: only the program, since arguments may hold a secret."""
        return f"health command {self.command.split()[0] if self.command.split() else ''}"

    def run(self, gateway: str) -> None:
        """See ``HealthCheck``."""
        code = self.execute(self.command, gateway)
        if code != 0:
            raise DeploymentError(
                f"{self.title} failed with exit code {code}", hint="see its output above."
            )
