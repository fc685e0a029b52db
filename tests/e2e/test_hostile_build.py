"""Builds that attack the job they run in, through the emulated runner: nothing comes of it."""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from ign_deploy.process import processes_of
from tests.support.build_user import (
    OWNER,
    as_root,
    own_account,
    owned,
    passwd_file,
    reachable_folder,
)
from tests.support.builds import gradle_wrapper
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import build_module
from tests.support.runner import ROOT, Runner, StepResult

PASSWORD = "correct/horse+battery=staple 27"
OURS = {"group", "endgroup", "add-mask", "stop-commands", "warning", "notice"}
HOSTILE_NAME = "$(touch pwned) '\"`touch pwned` ;touch pwned; ##[add-path]x %0A::error::x"

# Writes peak memory (bytes) and processor time (seconds) of the action and all it started: a
# child's peak counts from before its exec, so that it must be started by something small.
MEASURED = """
import os, sys
child = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(child, 0)
open(sys.argv[1], "w").write(f"{usage.ru_maxrss * 1024} {usage.ru_utime + usage.ru_stime}")
sys.exit(os.waitstatus_to_exitcode(status))
"""

# Not by a shell, which would drop the inputs.
WITH_USER = """
import os, subprocess, sys
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/passwd"], check=True)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Job:
    """A workflow step that builds one project whose wrapper is a script of the test's."""

    def __init__(self, folder: Path, *, secrets: Sequence[str] = ()) -> None:
        key, certificate = self_signed()
        self.key = pem_key(key, password=PASSWORD).decode()
        self.runner = Runner(
            folder / "runner",
            secrets=(PASSWORD, *secrets),
            variables={"MODULE_SIGNING_PASSWORD": PASSWORD},
        )
        self.inputs = {
            "path": "project",
            "key-path": self.key,
            "cert-path": pem_certificates(certificate).decode(),
            "repository-url": "repository",
        }
        self.made = build_module(folder / "made.modl")
        self.said = folder / "said"
        self.said.touch()
        self.project = self.runner.workspace / "project"

    def building(self, *lines: str, name: str = "Pump.modl") -> Job:
        """Write the build: it says ``said``, runs the lines, and makes a module called ``name``."""
        copy = f"cp {self.made} \"build/$(printf '%b' '{name}')\""
        gradle_wrapper(self.project, f"cat {self.said}", *lines, "mkdir -p build", copy)
        return self

    def building_again(self, *lines: str) -> Job:
        """Put another build in the place of the last one."""
        shutil.rmtree(self.project)
        return self.building(*lines)

    def run(self, **inputs: str) -> StepResult:
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.runner.run({**self.inputs, **given})


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A step with an encrypted key."""
    return Job(tmp_path)


def assert_untouched(result: StepResult) -> None:
    """Nothing but our own commands and outputs, and no secret, came out of the step."""
    assert result.succeeded, (result.problems, result.log[-30:])
    assert {command.name for command in result.commands} <= OURS
    assert result.environment == {}
    assert result.outputs["result"] in {"uploaded", "unchanged", "packaged"}
    assert not any("evil" in value for value in result.outputs.values())
    assert not any("evil" in annotation.message for annotation in result.annotations)
    assert result.leaked == ()


COMMANDS = b"""\
::set-output name=result::evil
::SET-OUTPUT name=sha256::evil
   ::add-path::/evil
\t::set-env name=PATH::/evil
text ##[add-path]/evil
##[set-env name=LD_PRELOAD]evil
##[set-output name=result]evil
::stop-commands::evil
::evil::
::stop-commands::
::add-mask::e
::error file=evil::evil
::warning::evil
::add-matcher::evil.json
::save-state name=evil::evil
::endgroup::
##[endgroup]
##vso[task.setvariable variable=evil]evil
10 %\r::set-output name=result::evil\r20 %\r##[add-path]/evil
\x1b[2K\x1b[1G::set-output name=result::evil
\x1b]0;evil\x07::add-path::/evil
\x1b[31m##\x1b[0m[add-path]/evil
:\x1b[0m:set-output name=result::evil
:\x00:set-output name=result::evil
\x00::add-path::/evil
\xff\xfe::add-path::/evil
\xe2\x80\x8b::add-path::/evil
\xe2\x80\xa8::add-path::/evil
\xc2\x85::add-path::/evil
\x0b::add-path::/evil
\x0c::add-path::/evil
\x1c::add-path::/evil
\xc2\x9b2K::add-path::/evil
"""


def test_commands_printed_by_the_build_are_not_executed(job: Job) -> None:
    job.said.write_bytes(COMMANDS)
    result = job.building(f"cat {job.said} >&2").run()
    assert_untouched(result)
    assert any("name=result" in line for line in result.log), "people still read what was said"


def test_a_token_seen_in_one_block_does_not_open_the_next(job: Job) -> None:
    job.said.write_text("hello\n")
    assert_untouched(job.building().run())
    first = [command.data for command in job.building_again().run().commands]
    tokens = [data for data in first if len(data) == 32]
    assert tokens
    lines = [f"::{token}::\n::set-output name=result::evil" for token in tokens]
    job.said.write_text(
        "\n".join([*lines, "::" + "0" * 32 + "::", "::set-output name=x::evil", ""])
    )
    assert_untouched(job.building_again().run())


@pytest.mark.parametrize("command", ["GITHUB_OUTPUT", "GITHUB_ENV", "GITHUB_PATH", "GITHUB_STATE"])
def test_the_build_does_not_know_the_runner_s_files(job: Job, command: str) -> None:
    result = job.building(f'echo "name=evil" >> "${{{command}:-/dev/null}}"').run()
    assert_untouched(result)
    assert "name" not in result.outputs


def forms(secret: str) -> list[str]:
    """Return the secret as a careless build prints it."""
    data = secret.encode()
    return [
        secret,
        base64.b64encode(data).decode(),
        base64.b64encode(data + b"\n").decode(),
        base64.urlsafe_b64encode(data).decode().rstrip("="),
        quote(secret, safe=""),
    ]


def test_secrets_printed_by_the_build_are_hidden_everywhere(tmp_path: Path) -> None:
    job = Job(tmp_path, secrets=forms(PASSWORD))
    lines = [line for line in job.key.splitlines() if not line.startswith("-----")]
    wrapped = base64.encodebytes(job.key.encode()).decode().split()
    job.runner.secrets = [*job.runner.secrets, *lines, *wrapped]
    half = len(PASSWORD) // 2
    said = [
        *(f"password={form}" for form in forms(PASSWORD)),
        f"{PASSWORD[:half]}\x1b[0m{PASSWORD[half:]}",
        f"progress\r{PASSWORD}\rdone",
        json.dumps({"password": PASSWORD}),
        job.key,
        base64.encodebytes(job.key.encode()).decode(),
        "x" * 8180 + PASSWORD,
        f"::error::{PASSWORD}",
        "BUILD FAILED: " + PASSWORD,
    ]
    job.said.write_text("\n".join(said) + "\n")
    for result in (job.building().run(), job.building_again("exit 1").run()):
        assert result.leaked == ()
        assert result.outputs["result"] in {"uploaded", "failed"}
        report = (job.runner.workspace / result.outputs["result-file"]).read_text()
        shown = [*result.log, result.summary, report, *result.outputs.values()]
        # Where a long line is cut, no part of a secret is left either.
        for secret in (*job.runner.secrets, PASSWORD[:10]):
            assert not any(secret in text for text in shown)


@pytest.mark.long
def test_fifty_megabytes_of_lines_take_neither_memory_nor_long(job: Job, tmp_path: Path) -> None:
    usage = measured(job, tmp_path)
    line = "::set-output name=result::evil \\033[31m> Task :compileJava" + " and more" * 12
    job.building(f"yes \"$(printf '%b' '{line}')\" | head -c 50000000")
    result = job.run(command="package", key_path="", cert_path="")
    assert_untouched(result)
    assert len(result.log) > 50_000_000 // 200
    memory, seconds = map(float, usage.read_text().split())
    assert memory < 150e6
    assert seconds < 20


def test_lines_without_an_end_are_cut(job: Job, tmp_path: Path) -> None:
    usage = measured(job, tmp_path)
    endless = "head -c 10000000 /dev/zero | tr '\\\\0' x"
    result = job.building(endless, "echo", endless, f"{endless} >&2").run()
    assert_untouched(result)
    assert sum(map(len, result.log)) < 200_000
    assert float(usage.read_text().split()[0]) < 150e6


def test_a_build_that_closes_its_output_is_waited_for(job: Job) -> None:
    result = job.building("exec >&- 2>&-", "sleep 1", "echo evil || true").run()
    assert_untouched(result)


def test_a_build_that_fills_its_standard_error_does_not_hang(job: Job) -> None:
    assert_untouched(job.building("head -c 3000000 /dev/zero >&2").run())


def test_nothing_the_build_starts_outlives_it(job: Job) -> None:
    marker = f"311.{os.getpid()}"
    left = f"(trap '' TERM HUP; setsid sh -c 'trap \"\" TERM; sleep {marker}; sleep {marker}' &)"
    assert_untouched(job.building(left, f"setsid sleep {marker} >/dev/null 2>&1 &").run())
    commands = [path.read_bytes() for path in running()]
    assert not any(marker.encode() in command for command in commands)


def test_a_build_that_replaces_the_notes_by_a_link_changes_nothing(job: Job) -> None:
    notes = job.runner.workspace / "notes.md"
    job.building(f"rm {notes}", f"ln -s /proc/self/environ {notes}")
    notes.write_text("the notes")
    assert_untouched(job.run(notes_file="notes.md"))
    record = next((job.runner.workspace / "repository").rglob("release.json"))
    assert json.loads(record.read_text())["notes"] == "the notes"


def test_a_build_that_replaces_the_trust_anchor_changes_nothing(job: Job) -> None:
    anchor = job.runner.workspace / "root.pem"
    job.building(f"echo evil >{anchor}")
    anchor.write_text(job.inputs["cert-path"])
    assert_untouched(job.run(trust_anchor="root.pem"))
    assert anchor.read_text() == "evil\n"


@as_root
def test_a_job_that_runs_as_root_is_out_of_reach() -> None:
    account = own_account()
    with reachable_folder() as folder:
        job = Job(folder)
        runner, ours = job.runner.folder, ROOT / "ign_deploy"
        # In a namespace of its own, the machine has the user that builds.
        launcher = ("unshare", "--mount", sys.executable, "-c", WITH_USER)
        passwd = str(passwd_file(folder, account))
        job.runner.command = (*launcher, passwd, *job.runner.command)
        everything = f"find {runner} -type f ! -path '*/project/*' 2>/dev/null"
        job.building(
            f"[ $(id -u) = {account.uid} ]",
            f"{everything} >all || true",
            'while read file; do if echo LD_PRELOAD=evil 2>/dev/null >>"$file"; then exit 7; fi; '
            "done <all",
            f"if find {ours} -writable 2>/dev/null | grep .; then exit 8; fi",
            "if cat /proc/$(ps -o ppid= -p $PPID | tr -d ' ')/environ 2>/dev/null; then exit 9; fi",
            "(trap '' TERM; exec sleep 600) &",
        )
        owned(runner)
        result = job.run(isolate="require")
        assert_untouched(result)
        assert processes_of(account) == []
        strangers = [path for path in job.project.rglob("*") if path.lstat().st_uid != OWNER]
        assert strangers == []


def test_hostile_names_are_only_names(tmp_path: Path) -> None:
    folder = tmp_path / "work\n::error::evil\n##[add-path]evil"
    folder.mkdir()
    job = Job(folder)
    job.made, job.said = build_module(tmp_path / "made.modl"), tmp_path / "said"
    job.said.touch()
    job.project = job.runner.workspace / HOSTILE_NAME
    result = job.building(name=r"a\n::error::b ##[add-path]c $(touch pwned)\033[2K.modl").run(
        path=HOSTILE_NAME
    )
    assert result.problems == ()
    assert {command.name for command in result.commands} <= OURS | {"error"}
    assert not any(annotation.message.startswith("evil") for annotation in result.annotations)
    assert not list(tmp_path.rglob("pwned"))
    assert result.outputs["result"] == "uploaded", result.log
    assert (job.runner.workspace / result.outputs["module-file"]).is_file()


def measured(job: Job, folder: Path) -> Path:
    """Make the runner write what the action used to the file that is returned."""
    usage = folder / "usage"
    launcher = (sys.executable, "-I", "-S", "-c", MEASURED, str(usage))
    job.runner.command = (*launcher, sys.executable, "-I", str(ROOT / "entrypoint.py"))
    return usage


def running() -> list[Path]:
    """Return the command line files of all processes."""
    return [path for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
