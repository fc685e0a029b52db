"""A full disk, a kill at any moment, a read-only folder: an output is absent or whole."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.builds import fake_java, gradle_wrapper
from tests.support.cli import KEY, MODULE, CliWorkspace
from tests.support.modules import build_module
from tests.support.releases import tree

LARGE = os.urandom(200_000)


@pytest.fixture
def large(workspace: CliWorkspace) -> CliWorkspace:
    """A workspace whose module has 200 kB that don't get smaller."""
    build_module(workspace.folder / MODULE, files={"doc/picture.png": LARGE})
    return workspace


def outputs(folder: Path) -> dict[str, bytes]:
    """Return what a user or a later step would take for a result: nothing hidden."""
    return {
        path.name: path.read_bytes()
        for path in folder.rglob("*.*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


@pytest.mark.parametrize(
    "command",
    [
        ("sign", MODULE, *KEY, "-o", "out"),
        ("module", MODULE, *KEY, "-o", "out", "--skip-upload"),
        ("package", "folder", "-o", "out"),
        ("package", "signed/pump.modl", "--format", "zip", "-o", "out"),
        ("download", "com.example.pump", "-o", "out"),
    ],
    ids=["sign", "module", "package", "bundle", "download"],
)
def test_a_full_disk_is_reported_and_leaves_no_output(
    large: CliWorkspace, command: tuple[str, ...]
) -> None:
    large.call("module", large.signed(), "--skip-signing", "-o", "out").must(0)
    folder = large.folder / "folder"
    folder.mkdir()
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-e", str(large.folder / MODULE), str(folder)], check=True
    )
    before = large.tree()
    result = large.run(*command, conditions={"file_size": 100_000}).must(2)
    assert os.strerror(errno.EFBIG) in result.stderr
    assert "free disk space" in result.stderr
    after = {name: data for name, data in large.tree().items() if "result" not in name}
    assert after == {name: data for name, data in before.items() if "result" not in name}


def test_a_full_disk_under_the_repository_leaves_it_as_it_was(large: CliWorkspace) -> None:
    build_module(large.folder / "old.unsigned.modl", texts={"version": "1.0.0"})
    large.release(path="old.unsigned.modl").must(0)
    signed = large.signed()
    before = tree(large.repository)
    result = large.run("upload", signed, conditions={"file_size": 100_000}).must(6)
    assert os.strerror(errno.EFBIG) in result.stderr
    assert tree(large.repository) == before
    large.call("upload", signed).must(0)


def test_a_full_device_behind_stdout_is_reported(workspace: CliWorkspace) -> None:
    with open("/dev/full", "wb") as full:
        child = subprocess.run(
            [sys.executable, "-I", "-m", "ign_deploy", "inspect", MODULE],
            cwd=workspace.folder,
            env=workspace.environment,
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert child.returncode == 2
    assert b"standard output: No space left on device" in child.stderr
    assert b"Traceback" not in child.stderr


@pytest.mark.parametrize("size", [1, 5_000, 150_000])
def test_killed_in_the_middle_of_writing_leaves_no_output(large: CliWorkspace, size: int) -> None:
    command = ("sign", MODULE, *KEY, "-o", "out")
    killed = large.run(*command, conditions={"file_size": size, "fatal": True})
    assert killed.exit_code == -signal.SIGXFSZ
    assert outputs(large.folder / "out") == {}
    large.call(*command).must(0)
    large.call("verify", "out/pump.modl").must(0)


@pytest.mark.parametrize(
    "command",
    [
        ("sign", MODULE, *KEY, "-o", "out"),
        ("package", "folder", "-o", "out"),
        ("download", "com.example.pump", "-o", "out"),
    ],
    ids=["sign", "package", "download"],
)
@pytest.mark.long
def test_killed_at_any_step_an_output_is_absent_or_whole(
    workspace: CliWorkspace, command: tuple[str, ...]
) -> None:
    folder = workspace.folder / "folder"
    subprocess.run(
        [sys.executable, "-m", "zipfile", "-e", str(workspace.folder / MODULE), str(folder)],
        check=True,
    )
    workspace.release().must(0)
    report = "ign-deploy-result.json"
    workspace.call(*command).must(0)
    whole = outputs(workspace.folder / "out")
    states = set()
    for step in range(1, 50):
        for path in (workspace.folder / "out").iterdir():
            if path.is_file():
                path.unlink()
        conditions = {"kill_at": step, "below": "out"}
        exit_code = workspace.run(*command, conditions=conditions).exit_code
        left = outputs(workspace.folder / "out")
        for name in left.keys() - {report}:
            assert left[name] == whole[name]
        assert "partial" not in "".join(left)
        json.loads(left.get(report, b"{}"))
        states.add(len(left))
        if exit_code == 0:
            break
        assert exit_code == -signal.SIGKILL
    assert step > 2
    assert states >= {0, len(whole)}


def test_a_killed_upload_can_be_done_again(workspace: CliWorkspace) -> None:
    signed = workspace.signed()
    digest = hashlib.sha256(signed.read_bytes()).hexdigest()
    for step in range(1, 100):
        conditions = {"kill_at": step, "below": str(workspace.repository)}
        if workspace.run("upload", signed, conditions=conditions).exit_code == 0:
            break
        for record in workspace.repository.glob("modules/*/*/release.json"):
            assert json.loads(record.read_text())["files"][0]["sha256"] == digest
            assert (record.parent / "com.example.pump-1.2.3.modl").read_bytes() == (
                signed.read_bytes()
            )
    assert 3 < step < 99
    (listed,) = workspace.call("list-modules", "--json").must(0).document["modules"]
    assert listed["version"] == "1.2.3"
    workspace.call("download", "Pump", "-o", "back").must(0)


def test_a_read_only_output_folder_is_reported(workspace: CliWorkspace) -> None:
    signed = workspace.signed()
    workspace.call("upload", signed).must(0)
    out = workspace.folder / "out"
    out.mkdir(mode=0o555)
    for command in (
        ("sign", MODULE, *KEY),
        ("module", MODULE, *KEY),
        ("package", str(signed), "--format", "zip"),
        ("download", "Pump"),
        ("generate-certificate", "--common-name", "X"),
    ):
        result = workspace.run(*command, "-o", "out", conditions={"powerless": True}).must(2)
        assert "out" in result.stderr
        assert "hint: " in result.stderr
        assert list(out.iterdir()) == []


def test_a_module_that_cannot_be_read_is_reported(workspace: CliWorkspace) -> None:
    (workspace.folder / MODULE).chmod(0)
    for command in (("verify", MODULE), ("sign", MODULE, *KEY), ("module", MODULE, *KEY)):
        result = workspace.run(*command, conditions={"powerless": True}).must(2)
        assert f"'{MODULE}' is not readable" in result.stderr


@pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "term"]
)
def test_stopped_by_a_signal_it_ends_the_build_and_leaves_nothing(
    workspace: CliWorkspace, number: signal.Signals, exit_code: int
) -> None:
    java = fake_java(workspace.folder / "java", "17.0.1")
    private = workspace.folder / "tmp"
    private.mkdir()
    project = gradle_wrapper(
        workspace.folder / "project", "echo $$ > ../pid.new", "mv ../pid.new ../pid", "sleep 60"
    )
    env = {"JAVA_HOME": str(java), "TMPDIR": str(private)}
    once = [workspace.folder / "pid"]
    result = workspace.interrupt(number, "module", project, *KEY, once=once, env=env)
    assert result.must(exit_code).stdout == ""
    assert list(private.iterdir()) == []
    assert not list((workspace.folder / "dist").glob("*.modl"))
    build = int((workspace.folder / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(build, 0)
