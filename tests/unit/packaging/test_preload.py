"""All code is loaded before a build: what it changes on disk doesn't count in this run."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from ign_deploy.packaging.preload import _LATE
from tests.support.builds import gradle_wrapper
from tests.support.cli import KEY, make_workspace
from tests.support.modules import build_module
from tests.support.runner import ROOT

# Runs a release, and prints what was imported from a file after everything had been loaded.
PROGRAM = """
import json, os, sys
from ign_deploy.packaging import isolation, preload
known = set()
def load():
    preload.load_everything()
    known.update(sys.modules)
isolation.load_everything = load
from ign_deploy.__main__ import main
code = main(["ign-deploy", *sys.argv[1:]], os.environ)
late = [name for name, module in sys.modules.items()
        if name not in known and getattr(module, "__file__", None)]
print(json.dumps([code, bool(known), sorted(late)]))
"""


def test_nothing_is_imported_after_the_build_began(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    made = build_module(tmp_path / "made.modl")
    gradle_wrapper(tmp_path / "project", "mkdir -p build", f"cp {made} build/Pump.modl")
    done = subprocess.run(
        [
            *(sys.executable, "-c", PROGRAM, "module", "project", *KEY, "--format", "both"),
            *("--trust-anchor", "signing.cert.pem", "--notes", "text", "--audit-file", "audit.log"),
            *("--metrics-file", "metrics.txt"),
        ],
        cwd=workspace.folder,
        env={**workspace.environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout, done.stderr
    code, was_loaded, late = json.loads(done.stdout.splitlines()[-1])
    assert (code, was_loaded) == (0, True), done.stderr
    assert late == []


def test_every_import_inside_a_function_is_known() -> None:
    late: set[str] = set()
    for path in (ROOT / "ign_deploy").rglob("*.py"):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef):
                for node in ast.walk(function):
                    if isinstance(node, ast.Import):
                        late |= {each.name for each in node.names}
                    elif isinstance(node, ast.ImportFrom) and node.module:
                        late.add(node.module)
    assert {name for name in late if not name.startswith("ign_deploy")} <= set(_LATE)
