"""A folder with keys, and the commands to measure in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.measure import Run, run
from tests.support.identities import pem_files, rsa_key, self_signed


@dataclass(frozen=True, slots=True)
class Workspace:
    """The benchmarks' working folder; its commands run without any of our settings."""

    folder: Path
    env: Mapping[str, str]

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Create test keys of 2048 and 4096 bits."""
        for bits in (2048, 4096):
            home = folder / f"rsa{bits}"
            home.mkdir()
            key, certificate = self_signed("Benchmark", key=rsa_key(f"bench{bits}", bits))
            pem_files(home, key, (certificate,))
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return cls(folder, kept)

    def python(self, *arguments: str) -> Run:
        """Run the interpreter alone."""
        return run([sys.executable, *arguments], env=self.env, cwd=self.folder)

    def ign_deploy(self, *arguments: str) -> Run:
        """Run the installed command."""
        command = Path(sys.executable).with_name("ign-deploy")
        return run([str(command), *arguments], env=self.env, cwd=self.folder)

    def sign(self, module: Path, *, bits: int = 2048) -> Run:
        """Sign a module into the folder's dist, which is emptied first."""
        shutil.rmtree(self.folder / "dist", ignore_errors=True)
        home = self.folder / f"rsa{bits}"
        return self.ign_deploy(
            "sign",
            str(module),
            *("--key-path", str(home / "signing.key.pem")),
            *("--cert-path", str(home / "signing.cert.pem")),
        )

    def unzip(self, module: Path) -> Run:
        """Test the archive with Info-ZIP."""
        return run(["unzip", "-tqq", str(module)], env=self.env)
