"""The command line as its users have it: a workspace, commands, and how they end."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.cli import run_cli
from ign_deploy.deployment.gateway import Target, Timing, open_target
from tests.support.builds import QUICK_JAVA
from tests.support.gateway import Gateway, Options, VirtualTime, running_gateway
from tests.support.gateway.client import retry_of
from tests.support.identities import pem_files, self_signed
from tests.support.modules import build_module
from tests.support.releases import tree
from tests.support.tls import Tls

CHILD = Path(__file__).with_name("cli_child.py")
KEY = ("--key-path", "signing.key.pem", "--cert-path", "signing.cert.pem")
MODULE = "pump.unsigned.modl"
TOKEN = "ci:s3cret"
ACCEPT = ("--accept-certificate", "yes", "--accept-license", "yes")
WITH_RESTART = (*ACCEPT, "--restart", "if-needed")


@dataclass(frozen=True)
class Result:
    """How a command ended; ``exit_code`` is negative after a signal."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """Stdout, which must be one JSON document and nothing else."""
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    def must(self, exit_code: int) -> Result:
        """Return itself, having ended with that exit code and without a traceback."""
        assert self.exit_code == exit_code, f"{self.exit_code}\n{self.stdout}\n{self.stderr}"
        assert "Traceback" not in self.stdout + self.stderr
        return self


@dataclass(frozen=True)
class CliWorkspace:
    """A working folder with a key, its certificate and a module that is built, but not signed."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a command gets of the test's own environment: the tools, and nothing else."""
        java = {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.folder),
            "JAVA_OPTS": QUICK_JAVA,
            **java,
        }

    def run(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        conditions: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run a command here as a process of its own; for ``conditions`` see ``cli_child``."""
        program = ["-m", "ign_deploy"]
        if conditions is not None:
            program = [str(CHILD), json.dumps(conditions)]
        child = subprocess.run(
            [sys.executable, "-I", *program, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=180,
            check=False,
        )
        # As UTF-8 without replacements: what is written must be valid.
        return Result(child.returncode, child.stdout.decode(), child.stderr.decode())

    def interrupt(
        self,
        number: signal.Signals,
        *arguments: str | Path,
        once: Sequence[Path] | Callable[[], bool],
        env: Mapping[str, str] | None = None,
    ) -> Result:
        """Run a command as a process of its own, and send it a signal ``once`` that is so.

        For paths: once they exist.
        """
        is_time = once if callable(once) else lambda: all(path.exists() for path in once)
        child = subprocess.Popen(
            [sys.executable, "-I", "-m", "ign_deploy", *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        try:
            deadline = time.monotonic() + 60
            while not is_time():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            child.send_signal(number)
            stdout, stderr = child.communicate(timeout=60)
        finally:
            child.kill()
        return Result(child.returncode, stdout.decode(), stderr.decode())

    def call(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
        """Run a command in this very process: ten times as fast, for tables with many rows."""
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            exit_code = run_cli(
                ["ign-deploy", *map(str, arguments)], {**self.environment, **(env or {})}
            )
        return Result(exit_code, stdout.getvalue(), stderr.getvalue())

    def release(
        self, *arguments: str | Path, path: str | Path = MODULE, **more: Mapping[str, Any]
    ) -> Result:
        """Run the whole job on the module, or on another path, with the key."""
        command = self.run if "conditions" in more else self.call
        return command("module", path, *KEY, *arguments, **more)

    def tree(self) -> dict[str, bytes | None]:
        """Return every file and folder here."""
        return tree(self.folder)

    def signed(self) -> Path:
        """Return the signed module, made now."""
        self.call("sign", MODULE, *KEY, "-o", "signed").must(0)
        return self.folder / "signed" / "pump.modl"

    @property
    def repository(self) -> Path:
        """The default repository."""
        return self.folder / "module-repository"


def make_workspace(folder: Path) -> CliWorkspace:
    """Set up a working folder."""
    key, certificate = self_signed()
    pem_files(folder, key, (certificate,))
    build_module(folder / MODULE)
    return CliWorkspace(folder)


@dataclass
class GatewayCli:
    """A workspace with a repository, a simulated gateway and its token: commands take no time."""

    workspace: CliWorkspace
    gateway: Gateway
    env: dict[str, str] = field(default_factory=lambda: {"IGN_DEPLOY_GATEWAY_TOKEN": TOKEN})
    others: dict[str, Gateway] = field(default_factory=dict)

    @contextmanager
    def another_gateway(self) -> Iterator[Gateway]:
        """Run one more gateway, on a time of its own."""
        with running_gateway(clock=VirtualTime()) as gateway:
            self.others[gateway.url] = gateway
            yield gateway

    def open_target(self, url: str, *, timing: Timing, **options: Any) -> Target:
        """Open a target that is waited for on its gateway's time."""
        gateway = self.others.get(url, self.gateway)
        assert gateway.clock is not None
        timing = replace(timing, clock=gateway.clock, sleep=gateway.clock.sleep)
        if gateway.options.hangs:
            options["retry"] = retry_of(gateway)
        return open_target(url, timing=timing, **options)

    def call(self, *arguments: str | Path, **env: str) -> Result:
        """Run a command in this process, on the gateways' time."""
        config = {"IGN_DEPLOY_CONFIG": "ign-deploy.toml"}
        named = config if (self.workspace.folder / "ign-deploy.toml").exists() else {}
        return self.workspace.call(*arguments, env={**named, **self.env, **env})

    def install(self, *arguments: str | Path, **env: str) -> Result:
        """Run ``install`` for the gateway, with consent to everything."""
        options = ("--gateway", self.gateway.url, "-e", "production", *WITH_RESTART)
        return self.call("install", *arguments, *options, **env)

    def config(self, text: str) -> None:
        """Write the config file; GATEWAY is replaced by the gateway's URL."""
        path = self.workspace.folder / "ign-deploy.toml"
        path.write_text(text.replace("GATEWAY", self.gateway.url), "utf-8")


@contextmanager
def open_gateway_cli(
    workspace: CliWorkspace,
    repository: Path,
    *,
    monkeypatch: pytest.MonkeyPatch,
    options: Options | None = None,
    tls: Tls | None = None,
) -> Iterator[GatewayCli]:
    """Set up a gateway and a copy of the repository; asserts that no request was careless."""
    shutil.copytree(repository, workspace.repository)
    with running_gateway(options or Options(), clock=VirtualTime(), tls=tls) as gateway:
        cli = GatewayCli(workspace, gateway)
        monkeypatch.setattr("ign_deploy.deployment.gateway.open_target", cli.open_target)
        yield cli
        assert gateway.violations == []
