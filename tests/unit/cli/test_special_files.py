"""A named pipe or a device in place of a file never makes a command hang or fill the memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.cli import KEY, MODULE, CliWorkspace, make_workspace

COMMANDS = {
    "trust anchor": ("verify", "signed/pump.modl", "--trust-anchor", "FILE"),
    "key": ("sign", MODULE, "--key-path", "FILE", "--cert-path", "signing.cert.pem"),
    "certificates": ("sign", MODULE, "--key-path", "signing.key.pem", "--cert-path", "FILE"),
    "keystore": ("sign", MODULE, "--keystore", "FILE"),
    "config": ("verify", "signed/pump.modl", "--config", "FILE"),
    "environment": ("verify", "signed/pump.modl", "--env-file", "FILE"),
    "CA": ("list-modules", "--repository-url", "https://127.0.0.1:1/x", "--repository-ca", "FILE"),
    "audit trail": ("audit", "verify", "FILE"),
    "audit trail of a run": ("upload", "signed/pump.modl", "--audit-file", "FILE"),
    "metrics": ("module", MODULE, *KEY, "--metrics-file", "FILE"),
    "repository": ("list-modules", "--repository-url", "FILE"),
    "source": ("mirror", "FILE"),
    **{command: (command, "FILE") for command in ("verify", "inspect", "upload", "package")},
    "sign": ("sign", "FILE", *KEY),
    "module": ("module", "FILE", *KEY),
    "batch": ("batch", "FILE", *KEY),
    "plan": ("plan", "FILE"),
}


def _give_up(*_: object) -> None:
    raise TimeoutError("the command hangs")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> CliWorkspace:
    made = make_workspace(tmp_path_factory.mktemp("special"))
    made.signed()
    os.mkfifo(made.folder / "pipe")
    return made


@pytest.mark.parametrize("file", ["pipe", "/dev/zero"])
@pytest.mark.parametrize("kind", COMMANDS)
def test_a_special_file_is_rejected(
    workspace: CliWorkspace, monkeypatch: pytest.MonkeyPatch, kind: str, file: str
) -> None:
    monkeypatch.setattr("ign_deploy.signing.material._PIPE_TIMEOUT", 0.2)
    arguments = [file if each == "FILE" else each for each in COMMANDS[kind]]
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(20)
    try:
        result = workspace.call(*arguments)
    finally:
        signal.alarm(0)
    assert result.exit_code in (2, 3, 4, 5, 6), result
    assert Path(file).name in result.stderr or "the file of the" in result.stderr


def test_a_named_pipe_that_is_called_a_module_is_rejected(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    (tmp_path / "project").mkdir()
    os.mkfifo(tmp_path / "project" / "pump.modl")
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(20)
    try:
        result = workspace.call("package", "project").must(3)
    finally:
        signal.alarm(0)
    assert "pump.modl: not a regular file" in result.stderr
