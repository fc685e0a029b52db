"""The command line against a simulated gateway: a shelf of published versions, and quick time."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from tests.support.cli import Result, Workshop
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.tls import Tls

TOKEN = "ci:s3cret"
ACCEPT = ("--accept-certificate", "yes", "--accept-license", "yes")
WITH_RESTART = (*ACCEPT, "--restart", "if-needed")


@dataclass
class Shop:
    """A working folder with a repository, a gateway and its token."""

    workshop: Workshop
    gateway: Gateway
    env: dict[str, str] = field(default_factory=lambda: {"IGN_DEPLOY_GATEWAY_TOKEN": TOKEN})

    def call(self, *arguments: str | Path, **env: str) -> Result:
        """Run a command in this process, on the gateway's time."""
        return self.workshop.call(*arguments, env={**self.env, **env})

    def install(self, *arguments: str | Path, **env: str) -> Result:
        """Run ``install`` for the gateway, with leave for everything."""
        there = ("--gateway", self.gateway.url, "-e", "production", *WITH_RESTART)
        return self.call("install", *arguments, *there, **env)

    def config(self, text: str) -> None:
        """Write the config file; GATEWAY stands for the gateway's URL."""
        path = self.workshop.folder / "ign-deploy.toml"
        path.write_text(text.replace("GATEWAY", self.gateway.url), "utf-8")


@contextmanager
def open_shop(
    workshop: Workshop,
    shelf: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    options: Options | None = None,
    tls: Tls | None = None,
) -> Iterator[Shop]:
    """Lend a shop with a copy of the repository ``shelf``; asserts that no request was careless."""
    clock = VirtualTime()
    timing = partial(_timing(), clock=clock, sleep=clock.sleep)
    monkeypatch.setattr("ign_deploy.deployment.gateway.Timing", timing)
    shutil.copytree(shelf, workshop.repository)
    with running_gateway(options or Options(), clock=clock, tls=tls) as gateway:
        yield Shop(workshop, gateway)
        assert gateway.violations == []


def _timing() -> type:
    from ign_deploy.deployment.gateway.model import Timing

    return Timing
