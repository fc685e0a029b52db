"""The command line as its users have it: a child process, its exit code, and what it wrote."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ign_deploy.cli import run_cli as run_in_this_process
from tests.support.identities import pem_files, self_signed
from tests.support.modules import build_module
from tests.support.releases import tree

CHILD = Path(__file__).with_name("cli_child.py")
KEY = ("--key-path", "signing.key.pem", "--cert-path", "signing.cert.pem")
MODULE = "pump.unsigned.modl"


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


def clean_environment(home: Path) -> dict[str, str]:
    """Return what a command gets of the test's own environment: the tools, and nothing else."""
    java = {"JAVA_HOME": os.environ["JAVA_HOME"]} if "JAVA_HOME" in os.environ else {}
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(home), **java}


def run_cli(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    conditions: Mapping[str, Any] | None = None,
) -> Result:
    """Run ``ign-deploy``; for ``conditions`` see ``cli_child``."""
    program = ["-m", "ign_deploy"]
    if conditions is not None:
        program = [str(CHILD), json.dumps(conditions)]
    child = subprocess.run(
        [sys.executable, "-I", *program, *map(str, arguments)],
        cwd=cwd,
        env={**clean_environment(cwd), **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=180,
        check=False,
    )
    # As UTF-8 without replacements: what is written must be valid.
    return Result(child.returncode, child.stdout.decode(), child.stderr.decode())


@dataclass(frozen=True)
class Workshop:
    """A working folder with a key, its certificate and a module that is built, but not signed."""

    folder: Path

    def run(
        self,
        *arguments: str | Path,
        env: Mapping[str, str] | None = None,
        conditions: Mapping[str, Any] | None = None,
    ) -> Result:
        """Run a command here."""
        return run_cli(*arguments, cwd=self.folder, env=env, conditions=conditions)

    def call(self, *arguments: str | Path, env: Mapping[str, str] | None = None) -> Result:
        """Run a command in this very process: ten times as fast, for tables with many rows."""
        stdout, stderr = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(stdout),
            contextlib.redirect_stderr(stderr),
        ):
            exit_code = run_in_this_process(
                ["ign-deploy", *map(str, arguments)],
                {**clean_environment(self.folder), **(env or {})},
            )
        return Result(exit_code, stdout.getvalue(), stderr.getvalue())

    def release(
        self, *arguments: str | Path, path: str | Path = MODULE, **more: Mapping[str, Any]
    ) -> Result:
        """Run the whole job on the module, or on another path, with the key."""
        return self.run("module", path, *KEY, *arguments, **more)

    def tree(self) -> dict[str, bytes | None]:
        """Return every file and folder here."""
        return tree(self.folder)

    def signed(self) -> Path:
        """Return the signed module, made now."""
        self.run("sign", MODULE, *KEY, "-o", "signed").must(0)
        return self.folder / "signed" / "pump.modl"

    @property
    def repository(self) -> Path:
        """The default repository."""
        return self.folder / "module-repository"


def make_workshop(folder: Path) -> Workshop:
    """Set up a working folder."""
    key, certificate = self_signed()
    pem_files(folder, key, (certificate,))
    build_module(folder / MODULE)
    return Workshop(folder)
