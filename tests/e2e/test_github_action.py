"""The contract of GitHub's container actions, through the emulated runner."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.builds import gradle_wrapper
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import build_module, module_files, zip_bytes
from tests.support.runner import Runner, StepResult

PASSWORD = "hunter22-and-more"
OTHER_USER = 12345
HOST_WORKSPACE = "/home/runner/work/modules/modules"
is_root = os.geteuid() == 0


class Job:
    """A workflow step in a workspace with one prebuilt module and an encrypted key."""

    def __init__(self, folder: Path) -> None:
        self.runner = Runner(folder / "runner", secrets=(PASSWORD,))
        self.workspace = self.runner.workspace
        build_module(self.workspace / "pump.unsigned.modl")
        key, certificate = self_signed()
        self.key = pem_key(key, password=PASSWORD)
        (self.workspace / "cert.pem").write_bytes(pem_certificates(certificate))
        (self.workspace / "key.pem").write_bytes(self.key)
        self.inputs = {
            "path": "pump.unsigned.modl",
            "key-path": "key.pem",
            "cert-path": "cert.pem",
            "signing-password": PASSWORD,
        }

    def run(self, env: dict[str, str] | None = None, **inputs: str) -> StepResult:
        self.runner.variables = env or {}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        return self.runner.run({**self.inputs, **given})


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A step that would succeed."""
    return Job(tmp_path)


def assert_released(result: StepResult) -> None:
    assert result.succeeded, (result.problems, result.log)
    assert result.outputs["result"] == "uploaded"
    assert result.leaked == ()


def test_inputs_alone_are_enough(job: Job) -> None:
    result = job.run()
    assert_released(result)
    assert result.outputs["module-file"] == "dist/pump.modl"
    assert (job.workspace / "module-repository/modules/com.example.pump/1.2.3").is_dir()
    assert {"package", "sign", "verify", "upload"} <= set(result.groups)
    assert result.outputs["sha256"] in result.summary


def test_secrets_come_through_env_as_well(job: Job) -> None:
    env = {"MODULE_SIGNING_PASSWORD": PASSWORD, "MODULE_SIGNING_KEY_PATH": job.key.decode()}
    assert_released(job.run(env, signing_password="", key_path=""))


def test_a_secret_in_base64_is_taken_and_masked(job: Job) -> None:
    encoded = base64.b64encode(job.key).decode()
    job.runner.secrets = (PASSWORD, encoded, *job.key.decode().splitlines()[1:-1])
    result = job.run(key_path=encoded)
    assert_released(result)
    masks = [command.data for command in result.commands if command.name == "add-mask"]
    assert {PASSWORD, encoded} <= set(masks)


def test_masking_comes_before_all_other_lines(job: Job) -> None:
    names = [command.name for command in job.run({"RUNNER_DEBUG": "1"}).commands]
    last_mask = len(names) - names[::-1].index("add-mask")
    assert set(names[:last_mask]) == {"add-mask"}


def test_an_input_without_a_value_is_unset(job: Job) -> None:
    env = {"DEPLOYMENT_OUTPUT_DIR": "from-env"}
    result = job.run(env, output_dir="", version="", dry_run="")
    assert_released(result)
    assert result.outputs["module-file"] == "from-env/pump.modl"


def test_several_lines_are_several_paths(job: Job) -> None:
    assert_released(job.run())
    (job.workspace / "second.modl").write_bytes((job.workspace / "dist/pump.modl").read_bytes())
    result = job.run(command="verify", path="dist/pump.modl\n  second.modl  \n\n")
    assert result.succeeded, result.log


@pytest.mark.parametrize("value", ["nope", "2", "tru"])
def test_a_flag_that_is_neither_true_nor_false_is_rejected(job: Job, value: str) -> None:
    result = job.run(dry_run=value)
    assert result.exit_code == 2
    assert any("dry-run" in annotation.message for annotation in result.annotations)


def test_outputs_and_summary_are_there_also_after_a_failure(job: Job) -> None:
    result = job.run(version="9.9.9")
    assert result.exit_code == 5
    assert result.problems == ()
    assert result.outputs["result"] == "failed"
    assert "Not released" in result.summary
    report = json.loads((job.workspace / result.outputs["result-file"]).read_text())
    assert report["error"]["exit_code"] == 5
    assert [annotation.type for annotation in result.annotations] == ["error"]


def test_debug_logging_of_the_runner_is_verbose(job: Job) -> None:
    quiet, verbose = job.run(dry_run="true"), job.run({"RUNNER_DEBUG": "1"}, dry_run="true")
    reported = "setting signing-password: from input signing-password"
    assert reported in verbose.log
    assert reported not in quiet.log
    assert verbose.leaked == ()


def test_relative_paths_mean_the_workspace_wherever_the_container_starts(
    job: Job, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    job.runner.started_in = elsewhere
    result = job.run()
    assert_released(result)
    assert result.outputs["module-file"] == "dist/pump.modl"
    assert list(elsewhere.iterdir()) == []


def test_paths_of_the_runner_s_machine_are_found_in_the_container(job: Job) -> None:
    assert_released(job.run())
    result = job.run(
        command="verify",
        path=f"dist/pump.modl\n{HOST_WORKSPACE}/dist/pump.modl",
        trust_anchor=f"cert.pem\n{HOST_WORKSPACE}/cert.pem",
    )
    assert result.succeeded, result.log


def test_a_path_of_another_machine_s_other_folder_is_not_guessed(job: Job) -> None:
    result = job.run(path="/home/runner/work/modules/other/pump.unsigned.modl")
    assert result.exit_code == 3


@pytest.mark.parametrize("name", ["JAVA_HOME", "GRADLE_USER_HOME", "RUNNER_TEMP", "GRADLE_HOME"])
def test_a_dead_path_left_by_an_earlier_step_is_survived(job: Job, name: str) -> None:
    dead = f"/opt/hostedtoolcache/{name}/of/the/machine"
    made = build_module(job.runner.folder / "made.modl")
    gradle_wrapper(
        job.workspace / "project",
        f'test "${{JAVA_HOME:-}}" != {dead}',
        f'test "$GRADLE_USER_HOME" != {dead}',
        f"mkdir -p build; cp {made} build/Pump.modl",
    )
    result = job.run({name: dead}, path="project")
    assert_released(result)
    assert not Path("/opt/hostedtoolcache", name).exists()


def test_gradle_s_caches_are_under_a_mount(job: Job) -> None:
    made = build_module(job.runner.folder / "made.modl")
    gradle_wrapper(
        job.workspace / "project",
        f'test "$GRADLE_USER_HOME" = {job.runner.folder}/home/.gradle',
        f"mkdir -p build; cp {made} build/Pump.modl",
    )
    assert_released(job.run(path="project"))


def give_to_other_user(folder: Path) -> None:
    """Make the folder and all in it someone else's, as a runner's are for a container's root."""
    if is_root:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, OTHER_USER, OTHER_USER, follow_symlinks=False)


def owners_of_others_files(folder: Path) -> dict[str, int]:
    """Return what does not belong to the folder's owner."""
    owner = folder.stat().st_uid
    return {
        str(path): path.lstat().st_uid for path in folder.rglob("*") if path.lstat().st_uid != owner
    }


@pytest.mark.parametrize("version", ["", "9.9.9"], ids=["released", "failed"])
def test_all_that_was_written_belongs_to_the_workspace_s_owner(job: Job, version: str) -> None:
    made = build_module(job.runner.folder / "made.modl")
    gradle_wrapper(
        job.workspace / "project",
        f"mkdir -p build/deep .gradle; touch build/deep/x .gradle/y; cp {made} build/Pump.modl",
        'mkdir -p "$GRADLE_USER_HOME/caches"; touch "$GRADLE_USER_HOME/caches/z"',
    )
    for name in ("home", "runner_temp"):
        (job.runner.folder / name).mkdir()
    give_to_other_user(job.runner.folder)
    (job.workspace / "of-root-before").touch()
    result = job.run(path="project", version=version)
    assert result.exit_code == (5 if version else 0), result.log
    (job.workspace / "of-root-before").unlink()
    for name in ("workspace", "home", "runner_temp"):
        assert owners_of_others_files(job.runner.folder / name) == {}
    assert (job.workspace / "dist/ign-deploy-result.json").exists()
    assert (job.workspace / "module-repository").exists() == (not version)


def test_what_was_root_s_before_stays_root_s(job: Job) -> None:
    give_to_other_user(job.workspace)
    (job.workspace / "of-root-before").touch()
    assert_released(job.run())
    assert (job.workspace / "of-root-before").stat().st_uid == os.geteuid()


def test_a_build_can_ask_git_in_a_workspace_of_someone_else(job: Job) -> None:
    made = build_module(job.runner.folder / "made.modl")
    gradle_wrapper(
        job.workspace / "project",
        "git -C .. rev-parse --show-toplevel",
        f"mkdir -p build; cp {made} build/Pump.modl",
    )
    subprocess.run(["git", "init", "--quiet", str(job.workspace)], check=True)
    give_to_other_user(job.workspace)
    result = job.run(path="project")
    assert_released(result)
    assert str(job.workspace) in result.log


def test_the_release_guards_ask_git_in_a_workspace_of_someone_else(job: Job) -> None:
    git = ["git", "-C", str(job.workspace), "-c", "user.name=x", "-c", "user.email=x@example.com"]
    subprocess.run([*git, "init", "--quiet", "--initial-branch=main"], check=True)
    subprocess.run([*git, "commit", "--quiet", "--allow-empty", "--message=x"], check=True)
    give_to_other_user(job.workspace)
    assert_released(job.run(protected_branch="main"))
    assert job.run(protected_branch="release").exit_code != 0


def test_no_secret_is_ever_written_to_a_file(job: Job) -> None:
    assert_released(job.run({"RUNNER_DEBUG": "1"}))
    files = [path for path in job.runner.folder.rglob("*") if path.is_file()]
    assert not [path for path in files if PASSWORD.encode() in path.read_bytes()]
    assert list((job.runner.folder / "runner_temp").iterdir()) == []


def test_no_input_has_a_name_that_the_runner_keeps_for_itself(job: Job) -> None:
    inputs = yaml.safe_load(job.runner.action.read_text())["inputs"]
    assert not {"entrypoint", "args"} & set(inputs)


def test_findings_beyond_the_cap_are_in_the_summary(job: Job) -> None:
    jars = {f"jar{number}.jar": b"no jar" for number in range(15)}
    listed = tuple(("G", name) for name in jars)
    files = module_files(files=jars, jars=(("G", "pump.jar"), *listed))
    (job.workspace / "pump.unsigned.modl").write_bytes(zip_bytes(files))
    result = job.run()
    assert result.exit_code == 5
    assert result.dropped_annotations == {}
    assert all(name in result.summary for name in jars)
    named = {annotation.properties["file"] for annotation in result.annotations}
    assert named == {"pump.unsigned.modl"}
