"""Programs from tools/node_modules, run by the Node.js of the test environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools" / "node_modules"
BIN = Path(sys.executable).parent


def run_node(
    *arguments: str, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    """Run Node.js; a missing one is a failure, not a skip."""
    assert TOOLS.is_dir(), "tools/node_modules is missing; run: tools/setup.sh tests"
    return subprocess.run(
        [str(BIN / "node"), *arguments],
        cwd=cwd,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,
        check=False,
    )
