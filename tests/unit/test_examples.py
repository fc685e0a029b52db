"""The examples match the program: inputs, outputs, commands, options, settings, reports, pins."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from ign_deploy.ci import host_files
from ign_deploy.ci.text import variable_name
from ign_deploy.cli import deployment_cli
from ign_deploy.settings import Inputs, Settings, default_variable
from tests.support.runner import ACTION, ROOT

TEMPLATES = ROOT / "ign_deploy" / "pipeline" / "templates"
EXAMPLES = sorted([*(ROOT / "examples").glob("*/workflows/*.yml"), *TEMPLATES.glob("github*.yml")])
OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PIPELINE = ROOT / "examples" / "gitlab" / ".gitlab-ci.yml"
COMPONENT = ROOT / "templates" / "release.yml"
JENKINSFILE = ROOT / "examples" / "jenkins" / "Jenkinsfile"
CONFIGS = sorted((ROOT / "examples" / "config").glob("*.toml"))
OURS = re.compile(r"(?:org/ign-deploy@v1|\./)")
VARIABLES = {default_variable(name) for name, _, _ in Settings.names()} | {
    source.env for _, _, source in Settings.names() if source.env
}


def label(path: Path) -> str:
    return str(path.relative_to(ROOT))


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return document


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in load(path)["jobs"].values():
        yield from job.get("steps", ())


def our_steps(path: Path) -> list[dict[str, Any]]:
    return [step for step in steps(path) if OURS.fullmatch(step.get("uses", ""))]


@pytest.mark.parametrize("path", [*EXAMPLES, *OWN], ids=label)
def test_workflows_use_inputs_of_the_action(path: Path) -> None:
    for step in our_steps(path):
        given = step.get("with", {})
        assert set(given) <= set(ACTION["inputs"])
        command = given.get("command", "module")
        assert command in deployment_cli.list_commands(click.Context(deployment_cli))
        assert (
            not {"signing-password", "key-password"} & set(given)
            or "${{ secrets." in str(given)
            or path in OWN
        )


@pytest.mark.parametrize("path", EXAMPLES, ids=label)
def test_every_example_uses_the_action(path: Path) -> None:
    assert our_steps(path)


@pytest.mark.parametrize("path", [*EXAMPLES, *OWN], ids=label)
def test_workflows_read_outputs_of_the_action(path: Path) -> None:
    ours = {step["id"] for step in our_steps(path) if "id" in step}
    text = path.read_text("utf-8")
    for step, output in re.findall(r"steps\.([\w-]+)\.outputs\.([\w-]+)", text):
        assert step not in ours or output in ACTION["outputs"]


@pytest.mark.parametrize("path", [*EXAMPLES, *OWN], ids=label)
def test_other_actions_are_pinned_by_commit_and_state_their_version(path: Path) -> None:
    for line in path.read_text("utf-8").splitlines():
        used = re.search(r"uses: (\S+)(.*)", line)
        if used and not OURS.match(used[1]):
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", used[1])
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", used[2])


@pytest.mark.parametrize("path", [*EXAMPLES, *OWN], ids=label)
def test_workflows_request_minimal_permissions(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_every_action_has_one_pin() -> None:
    pins: dict[str, set[str]] = {}
    for path in (*EXAMPLES, *OWN):
        for name, commit in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40})", path.read_text("utf-8")):
            pins.setdefault(name, set()).add(commit)
    assert pins
    assert all(len(commits) == 1 for commits in pins.values()), pins


def test_a_release_takes_fewer_than_25_lines() -> None:
    text = (ROOT / "examples" / "github" / "workflows" / "single-module.yml").read_text("utf-8")
    release = text[: text.index("      - uses: actions/upload-artifact")]
    written = [line for line in release.splitlines() if line.split("#")[0].strip()]
    assert len(written) < 25


@pytest.mark.parametrize("path", [PIPELINE, COMPONENT, JENKINSFILE], ids=label)
def test_command_lines_are_valid(path: Path) -> None:
    lines = command_lines(path.read_text("utf-8"))
    assert lines
    for words in lines:
        context = click.Context(deployment_cli, info_name="ign-deploy")
        name, command, rest = deployment_cli.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


def command_lines(text: str) -> list[list[str]]:
    """Return the words after ``ign-deploy`` of each shell line in a pipeline."""
    found = re.findall(r"^\s*(?:- |sh ')ign-deploy ([^'\n]*)'?$", text, re.M)
    return [shlex.split(line) for line in found]


@pytest.mark.parametrize("path", [PIPELINE, COMPONENT], ids=label)
def test_gitlabs_reports_are_the_files_we_write(path: Path) -> None:
    job = next(job for job in jobs_of(path) if "artifacts" in job)
    image = next(job["image"] for job in jobs_of(path) if "image" in job)
    assert image["entrypoint"] == [""]
    assert job["artifacts"]["reports"] == {
        "dotenv": f"dist/{host_files.DOTENV}",
        "junit": f"dist/{host_files.JUNIT}",
        "codequality": f"dist/{host_files.CODE_QUALITY}",
    }
    assert job["artifacts"]["when"] == "always"


@pytest.mark.parametrize("path", [PIPELINE, COMPONENT], ids=label)
def test_gitlabs_variables_are_settings(path: Path) -> None:
    for job in jobs_of(path):
        ours = {name for name in job.get("variables", {}) if name.startswith("IGN_DEPLOY_")}
        assert ours <= VARIABLES


def jobs_of(path: Path) -> list[dict[str, Any]]:
    *_, pipeline = yaml.safe_load_all(path.read_text("utf-8"))
    return [job for job in pipeline.values() if isinstance(job, dict)]


def test_the_component_uses_every_input_it_declares() -> None:
    header, _ = yaml.safe_load_all(COMPONENT.read_text("utf-8"))
    body = COMPONENT.read_text("utf-8").split("\n---\n")[1]
    assert set(re.findall(r"\$\[\[ inputs\.([\w-]+) \]\]", body)) == set(header["spec"]["inputs"])
    scripts = [line for job in jobs_of(COMPONENT) for line in job.get("script", ())]
    # An input in a script would be parsed by the shell; a variable isn't.
    assert not any("$[[" in line for line in scripts)


def test_pipelines_read_outputs() -> None:
    known = {variable_name(name) for name in ACTION["outputs"]}
    announced = load(PIPELINE)["announce"]["script"][0]
    assert set(re.findall(r"\$([A-Z0-9_]+)", announced)) <= known
    read = set(re.findall(r"outputs\.(\w+)", JENKINSFILE.read_text("utf-8")))
    assert read
    assert read <= known


def test_the_jenkinsfile_reads_the_files_we_write() -> None:
    text = JENKINSFILE.read_text("utf-8")
    assert f"readProperties file: 'dist/{host_files.PROPERTIES}'" in text
    assert f"junit testResults: 'dist/{host_files.JUNIT}'" in text
    for variable in re.findall(r"variable: '(\w+)'", text):
        assert variable in VARIABLES


def test_there_is_a_config_file_for_each_use() -> None:
    names = [path.name.split(".")[1] for path in CONFIGS]
    assert names == ["development", "gateways", "production", "security"]


@pytest.mark.parametrize("path", CONFIGS, ids=label)
def test_an_example_config_file_loads_and_explains_every_setting(path: Path) -> None:
    resolved = Inputs(env={}, flags={}, folder=path.parent, config_file=path).resolve()
    keys = tomllib.loads(path.read_text("utf-8"))
    for table in keys.pop("gateways", ()):
        found = next(each for each in resolved.settings.gateways if each.name == table["name"])
        assert found.model_dump(exclude_defaults=True) == {
            key.replace("-", "_"): value for key, value in table.items()
        }
    for key, value in keys.items():
        setting = getattr(resolved.settings, key.replace("-", "_"))
        text = str(list(setting) if isinstance(setting, tuple) else setting)
        # Paths are relative to the file.
        assert text.replace(f"{path.parent}/", "") == str(value)
    assert path.read_text("utf-8").count("\n#") >= len(keys)


@pytest.mark.parametrize("path", CONFIGS, ids=label)
def test_keys_in_example_config_files_are_spelt_as_documented(path: Path) -> None:
    known = {name.replace("_", "-") for name, _, _ in Settings.names()}
    assert set(tomllib.loads(path.read_text("utf-8"))) <= known | {"gateways"}
