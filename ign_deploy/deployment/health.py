"""Health checks of the user: a URL that must answer, or a command that must succeed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ign_deploy.errors import DeploymentError


class HealthCheck(Protocol):
    """A test that a deployment has to pass on each gateway."""

    @property
    def title(self) -> str:
        """What it is called in messages; never holds a secret."""

    def run(self, gateway: str) -> None:
        """Try it for the gateway at that address; raises DeploymentError when it isn't healthy."""


@dataclass(frozen=True, slots=True)
class HealthResponse:
    """What a URL answered."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class UrlCheck:
    """A URL must answer with a status and, if ``text`` is set, have that text in its answer.

    A path is taken on the gateway itself. ``get`` makes the request; it raises NetworkError.
    """

    url: str
    get: Callable[[str], HealthResponse]
    status: int = 200
    text: str = ""

    @property
    def title(self) -> str:
        """See ``HealthCheck``; a query may hold a secret."""
        return f"health check {self.url.partition('?')[0]}"

    def run(self, gateway: str) -> None:
        """See ``HealthCheck``."""
        url = self.url if "://" in self.url else f"{gateway.rstrip('/')}/{self.url.lstrip('/')}"
        answer = self.get(url)
        if answer.status != self.status:
            raise DeploymentError(
                f"{self.title} answered {answer.status}, expected {self.status}",
                hint="look at what is behind that address.",
            )
        if self.text and self.text not in answer.text:
            raise DeploymentError(
                f"{self.title} answered {answer.status}, but without the text {self.text[:100]!a}",
                hint="look at what is behind that address.",
            )


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """A command must end with exit code 0; ``execute`` runs it and returns its exit code.

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
                f"{self.title} ended with exit code {code}", hint="see what it printed above."
            )
