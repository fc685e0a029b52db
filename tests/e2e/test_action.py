"""The action on an emulated runner: inputs, outputs, summary, annotations, secrets."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.builds import fake_java, gradle_wrapper
from tests.support.identities import pem_certificates, pem_key, self_signed
from tests.support.modules import build_module
from tests.support.runner import ACTION, Runner, StepResult
from tests.support.signing import signed_module

ID = "com.example.pump"
PASSWORD = "correct horse battery"
STAGES = ("preflight", "package", "validate", "sign", "verify", "upload")
HOSTILE = (
    "::set-output name=module-id::evil",
    "##[add-path]/evil",
    "::add-mask::e",
    "::stop-commands::token",
    "\x1b]0;title\x07\x1b[2J::error::forged",
    "<img src=x onerror=alert(1)>",
    "| a | b |",
)


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner whose workspace holds a module, and whose step has the key as secrets."""
    key, certificate = self_signed()
    secret = pem_key(key, password=PASSWORD).decode()
    runner = Runner(
        tmp_path,
        # Any line of the key would do harm, so the last one represents all.
        secrets=(PASSWORD, secret.splitlines()[-2]),
        variables={
            "MODULE_SIGNING_KEY_PATH": base64.b64encode(secret.encode()).decode(),
            "MODULE_SIGNING_CERT_PATH": pem_certificates(certificate).decode(),
            "MODULE_SIGNING_PASSWORD": PASSWORD,
        },
    )
    build_module(runner.workspace / "pump.unsigned.modl")
    return runner


def step(runner: Runner, path: str = "pump.unsigned.modl", **inputs: str) -> StepResult:
    """Run the action; ``dry_run`` is the input ``dry-run``."""
    named = {name.replace("_", "-"): value for name, value in inputs.items()}
    result = runner.run({"path": path, **named})
    assert result.problems == ()
    assert result.leaked == ()
    assert not any("Traceback" in line for line in result.log)
    return result


def workspace_file(runner: Runner, value: str) -> Path:
    """Return the file an output names; it must be inside the workspace, and named relative."""
    assert not value.startswith("/")
    path = runner.workspace / value
    assert path.is_file()
    return path


def result_document(runner: Runner, outputs: Mapping[str, str]) -> dict[str, object]:
    document: dict[str, object] = json.loads(
        workspace_file(runner, outputs["result-file"]).read_text()
    )
    return document


def test_a_release_gives_outputs_groups_and_a_summary(runner: Runner) -> None:
    result = step(runner, format="both", notes="Hello", tags="blue\ngreen")
    assert result.succeeded
    assert result.groups == (*STAGES[:-1], "bundle", "upload")
    outputs = result.outputs
    # `plan` writes the matrix, see test_plan.py.
    assert outputs.keys() == ACTION["outputs"].keys() - {"matrix"}
    assert outputs["result"] == "uploaded"
    assert (outputs["module-id"], outputs["module-name"]) == (ID, "Pump")
    assert outputs["module-version"] == "1.2.3"
    assert workspace_file(runner, outputs["module-file"]).name == "pump.modl"
    assert outputs["release-url"].startswith("module-repository/")
    assert (runner.workspace / outputs["release-url"]).is_dir()
    assert workspace_file(runner, outputs["bundle-file"]).suffix == ".zip"
    assert len(outputs["sha256"]) == len(outputs["certificate-fingerprint"]) == 64
    assert len(outputs["certificate-sha1"]) == 40
    assert result_document(runner, outputs)["result"] == "uploaded"
    assert "Released Pump 1.2.3" in result.summary
    assert outputs["certificate-sha1"] in result.summary
    assert result.annotations == ()
    (record,) = (runner.workspace / "module-repository").rglob("release.json")
    assert json.loads(record.read_text())["tags"] == ["blue", "green"]


def test_a_second_run_is_unchanged_and_green(runner: Runner) -> None:
    step(runner)
    again = step(runner)
    assert again.succeeded
    assert again.outputs["result"] == "unchanged"


def test_a_failed_run_has_outputs_a_summary_and_annotations(runner: Runner) -> None:
    result = step(runner, version="9.9.9")
    assert result.exit_code == 5
    assert result.outputs["result"] == "failed"
    assert result_document(runner, result.outputs)["result"] == "failed"
    assert "9.9.9" in result.summary
    (annotation,) = result.annotations
    assert annotation.type == "error"
    assert "version '9.9.9' was requested" in annotation.message
    assert annotation.properties["title"] == "version-mismatch"


def test_a_conflict_says_which_module_failed(runner: Runner) -> None:
    first = step(runner)
    build_module(runner.workspace / "pump.unsigned.modl", files={"doc/new.html": b"new"})
    result = step(runner)
    assert result.exit_code == 6
    assert (result.outputs["result"], result.outputs["module-id"]) == ("failed", ID)
    assert result.outputs["sha256"] != first.outputs["sha256"]
    assert "Not released: Pump 1.2.3" in result.summary


def test_every_problem_of_preflight_is_an_annotation(runner: Runner) -> None:
    result = step(runner, version="x", repository_url="missing/parent/repository", alias="")
    assert result.exit_code == 2
    assert [annotation.properties["title"] for annotation in result.annotations] == [
        "version-syntax",
        "repository",
    ]
    assert result.groups == ("preflight",)


def test_findings_are_annotated_once_and_in_the_workspace(runner: Runner) -> None:
    build_module(runner.workspace / "pump.unsigned.modl", files={"stray.jar": b"PK"})
    result = step(runner, repository_url="")
    locations = [
        (annotation.properties["title"], annotation.properties["file"], annotation.message)
        for annotation in result.annotations
    ]
    assert locations
    assert len(locations) == len(set(locations))
    assert {file for _, file, _ in locations} == {"pump.unsigned.modl"}


def test_an_error_in_the_settings_still_has_a_result_and_a_summary(runner: Runner) -> None:
    result = step(runner, format="tar", build_timeout="-5")
    assert result.exit_code == 2
    assert result.outputs["result"] == "failed"
    assert "input format" in result.summary
    assert "input build-timeout" in result.annotations[0].message


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"command": "modul"}, "Did you mean 'module'?"),
        ({"command": "module --verbose"}, "module --verbose"),
        ({"command": "::add-path::/x\n::set-env name=a::b"}, "add-path"),
        ({"path": "one\ntwo"}, "module takes one path"),
    ],
    ids=["misspelt", "options", "hostile", "two-paths"],
)
def test_a_wrong_command_or_path_is_explained(
    runner: Runner, inputs: dict[str, str], words: str
) -> None:
    result = step(runner, **inputs)
    assert result.exit_code == 2
    assert result.outputs["result"] == "failed"
    assert words in result.annotations[0].message
    assert "The run failed" in result.summary


def test_empty_inputs_are_unset_and_hyphenated_ones_arrive(runner: Runner) -> None:
    runner.variables = {**runner.variables, "DEPLOYMENT_OUTPUT_DIR": "made"}
    result = step(runner, output_dir="", skip_upload=" true ", dry_run="false", gradle_args="")
    assert result.outputs["result"] == "verified"
    assert result.outputs["module-file"] == "made/pump.modl"


def test_an_input_wins_over_the_environment(runner: Runner) -> None:
    runner.variables = {**runner.variables, "DEPLOYMENT_OUTPUT_DIR": "made"}
    result = step(runner, output_dir="chosen", skip_upload="true")
    assert result.outputs["module-file"] == "chosen/pump.modl"


def test_a_dry_run_changes_nothing_in_the_workspace(runner: Runner) -> None:
    before = sorted(runner.workspace.rglob("*"))
    result = step(runner, dry_run="true")
    assert result.outputs["result"] == "dry-run"
    assert sorted(runner.workspace.rglob("*")) == before


def test_an_absolute_path_in_the_workspace_gives_relative_outputs(runner: Runner) -> None:
    result = step(
        runner,
        path=str(runner.workspace / "pump.unsigned.modl"),
        output_dir=str(runner.workspace / "made"),
    )
    assert result.outputs["module-file"] == "made/pump.modl"
    assert result.outputs["result-file"] == "made/ign-deploy-result.json"


@pytest.mark.parametrize("command", ["validate-env", "verify", "sign", "upload"])
def test_other_commands_say_their_result(runner: Runner, command: str) -> None:
    signed_module(runner.workspace / "pump.unsigned.modl", output_dir=runner.workspace)
    path = "pump.modl" if command in ("verify", "upload") else "pump.unsigned.modl"
    result = step(runner, path, command=command)
    assert result.exit_code == 0
    said = {"validate-env": "ready", "verify": "intact", "sign": "signed", "upload": "uploaded"}
    assert result.outputs["result"] == said[command]


def test_other_commands_that_fail_have_a_result_and_a_summary(runner: Runner) -> None:
    result = step(runner, ID, command="download")
    assert result.exit_code == 6
    assert result.outputs["result"] == "failed"
    assert "no repository" in result.summary


def test_the_secrets_are_masked_before_anything_else_is_said(runner: Runner) -> None:
    result = step(runner)
    names = [command.name for command in result.commands]
    assert names[0] == "add-mask"
    assert "add-mask" not in names[names.index("group") :]


def test_no_secret_is_seen_when_the_settings_are_wrong(runner: Runner) -> None:
    runner.variables = {**runner.variables, "IGN_DEPLOY_BUILD_TIMEOUT": PASSWORD}
    result = step(runner, signing_password=PASSWORD, key_path=PASSWORD + "?")
    assert result.exit_code == 2
    assert PASSWORD not in "\n".join(result.log)


def test_no_secret_is_in_any_file_that_is_left(runner: Runner) -> None:
    build_module(
        runner.workspace / "pump.unsigned.modl", texts={"description": f"uses {PASSWORD} daily"}
    )
    result = step(runner, description=PASSWORD, format="modl")
    assert result.succeeded
    document = workspace_file(runner, result.outputs["result-file"]).read_text()
    assert PASSWORD not in document
    left = [path for path in (runner.folder / "runner_temp").rglob("*") if path.is_file()]
    left += [path for path in (runner.folder / "home").rglob("*") if path.is_file()]
    assert left == []


def test_a_hostile_module_is_neither_obeyed_nor_breaks_the_summary(runner: Runner) -> None:
    build_module(
        runner.workspace / "pump.unsigned.modl",
        texts={
            "name": " ".join(HOSTILE).replace("\x1b", "").replace("\x07", ""),
            "description": "\n".join(HOSTILE).replace("\x1b", "").replace("\x07", ""),
            "vendorname": "\n::set-env name=PATH::/evil\n",
        },
        files={"::set-output name=x::y.html": b"", "doc/##[add-path].html": b""},
    )
    result = step(runner, format="both")
    assert result.outputs.get("module-id") in (ID, "")
    assert result.environment == {}
    assert {command.name for command in result.commands} <= {
        "add-mask", "group", "endgroup", "warning", "error", "notice",
    }  # fmt: skip
    assert not any(annotation.message == "forged" for annotation in result.annotations)
    assert "<img" not in result.summary
    assert "\x1b" not in result.summary + "".join(result.log)
    for table_row in (line for line in result.summary.splitlines() if "com.example.pump" in line):
        assert "::set-output" not in table_row or table_row.lstrip().startswith(("|", "##"))


def test_a_hostile_build_log_is_shown_but_not_obeyed(runner: Runner) -> None:
    java = fake_java(runner.folder / "java", "17.0.1")
    project = gradle_wrapper(
        runner.workspace / "project",
        "cat hostile.txt",
        f"echo the password is '{PASSWORD}'",
        'echo "::set-output name=result::uploaded" >> "${GITHUB_OUTPUT:-/dev/null}"',
        "env",
        "mkdir -p build; cp ../pump.unsigned.modl build/",
    )
    lines = "\n".join(HOSTILE) + "\r::warning::after a carriage return\n"
    (project / "hostile.txt").write_text(lines)
    runner.variables = {**runner.variables, "JAVA_HOME": str(java), "REPOSITORY_API_TOKEN": "t0k3n"}
    result = step(runner, "project")
    assert result.succeeded
    assert result.outputs["module-id"] == ID
    assert result.annotations == ()
    log = "\n".join(result.log)
    assert "set-output" in log
    assert "the password is ***" in log
    assert "t0k3n" not in log
    assert "MODULE_SIGNING" not in log
    assert result.groups == STAGES


def test_the_workspace_may_hold_modules_named_like_ours(runner: Runner) -> None:
    for name in ("click.py", "ign_deploy.py", "json.py"):
        (runner.workspace / name).write_text("raise SystemExit('hijacked')\n")
    assert step(runner).succeeded


def test_a_build_that_fails_is_explained(runner: Runner) -> None:
    java = fake_java(runner.folder / "java", "17.0.1")
    project = gradle_wrapper(runner.workspace / "project", "echo working", "exit 7")
    runner.variables = {**runner.variables, "JAVA_HOME": str(java)}
    result = step(runner, "project")
    assert result.exit_code == 3
    assert "exit code 7" in result.annotations[0].message
    assert result.outputs["result"] == "failed"
    shutil.rmtree(project)
