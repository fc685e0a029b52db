"""Project files: those that must agree do, and nothing local slipped in."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ign_deploy import __version__
from ign_deploy.cli import deployment_cli
from ign_deploy.settings import Settings, default_variable, option_name
from tests.support.runner import ACTION, ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SOURCES = {name: source for name, _, source in Settings.names()}


def locked(name: str) -> dict[str, str]:
    """Return the blocks of a lock file, by requirement (``name==version``)."""
    blocks: dict[str, str] = {}
    current = ""
    for line in (ROOT / name).read_text("utf-8").splitlines():
        if line and not line[0].isspace() and not line.startswith("#"):
            current = line.split(" ")[0]
            blocks[current] = ""
        if current:
            blocks[current] += line + "\n"
    return blocks


def tracked_files() -> list[Path]:
    """Return the files in git; outside a checkout, everything that isn't generated."""
    listing = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False, timeout=60
    )
    if listing.returncode == 0:
        names = listing.stdout.decode().split("\0")
        return [ROOT / name for name in names if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "Makefile",
        ".ci/run",
    ],
)
def test_the_usual_project_files_exist(name: str) -> None:
    assert (ROOT / name).read_text("utf-8").strip()


def test_the_licence_is_mit() -> None:
    assert PROJECT["project"]["license"] == "MIT"
    assert "Copyright (c) 2026 ign-deploy contributors" in (ROOT / "LICENSE").read_text("utf-8")


def test_the_changelog_has_an_unreleased_section() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_version_is_valid() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+)?", __version__)


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(name: str) -> None:
    blocks = locked(name)
    assert blocks
    for requirement, block in blocks.items():
        assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[^\s=]+", requirement)
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", block)
    assert len({requirement.split("==")[0] for requirement in blocks}) == len(blocks)


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_contain_no_index_and_no_path(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?:|file:|--(?:extra-)?index|find-links|\s@\s|/[a-z]+/", text)


def test_both_lock_files_agree_and_contain_every_dependency() -> None:
    runtime, everything = (set(locked(name)) for name in LOCKS)
    assert runtime <= everything
    names = {requirement.split("==")[0] for requirement in runtime}
    for dependency in PROJECT["project"]["dependencies"]:
        assert re.split(r"[<>=!~\[; ]", dependency)[0].lower() in names
    names = {requirement.split("==")[0] for requirement in everything}
    for dependency in PROJECT["dependency-groups"]["dev"]:
        assert re.split(r"[<>=!~\[; ]", dependency)[0].lower() in names


def test_binary_packages_are_locked_for_intel_arm_and_as_source() -> None:
    for requirement, block in locked("requirements.lock").items():
        if requirement.startswith(("cryptography==", "deflate==", "pydantic-core==", "zlib-ng==")):
            assert block.count("--hash=sha256:") > 10


def test_every_input_and_output_of_the_action_is_described() -> None:
    for about in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert len(about["description"]) > 10
        assert about.keys() <= {"description", "default"}


def test_the_actions_inputs_are_the_settings() -> None:
    settings = {name.replace("_", "-") for name, _, _ in Settings.names()}
    assert set(ACTION["inputs"]) == settings | {"command", "path", "config"}


def test_only_the_command_input_has_a_default() -> None:
    defaults = {name for name, about in ACTION["inputs"].items() if "default" in about}
    assert defaults == {"command"}


def test_the_action_contains_no_logic() -> None:
    assert ACTION["runs"] == {"using": "docker", "image": "Dockerfile"}
    body = [
        line
        for line in (ROOT / "entrypoint.py").read_text("utf-8").splitlines()
        if line.strip() and not line.startswith(('"""', "import", "from"))
    ]
    assert body == ['if __name__ == "__main__":', "    sys.exit(main(sys.argv, os.environ))"]


def test_the_image_is_started_by_python_and_keeps_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert re.search(
        r'^ENTRYPOINT \["[^"]+/python", "-I", "[^"]+/entrypoint\.py"\]$', dockerfile, re.M
    )
    assert "--require-hashes" in dockerfile
    assert "\nUSER " not in dockerfile
    for stage in ("slim", "jdk"):
        assert re.search(rf"^FROM \S+ AS {stage}$", dockerfile, re.M)


def test_scripts_are_executable_and_stop_at_errors() -> None:
    scripts = [*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"]
    assert len(scripts) >= 5
    for script in scripts:
        assert script.stat().st_mode & 0o111 == 0o111
        lines = script.read_text("utf-8").splitlines()
        assert lines[0] == "#!/usr/bin/env bash"
        assert any(re.match(r"set -e?uo pipefail$", line) for line in lines)


def test_no_file_names_a_local_folder() -> None:
    # Assembled here, so that the test doesn't find its own file.
    local = re.compile(
        rb"(?:^|[\s\"'=(:])/(?:"
        + rb"|".join((b"wo" + b"rk", b"ro" + b"ot", b"ho" + b"me/[a-z]", b"Us" + b"ers"))
        + rb")/"
    )
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.stat().st_size < 1_000_000 and local.search(path.read_bytes())
    ]
    assert found == []


def test_the_reference_pages_are_not_mentioned() -> None:
    marker = b"../sha" + b"red"
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.stat().st_size < 1_000_000 and marker in path.read_bytes()
    ]
    assert found == []


def command_options() -> dict[str, set[str]]:
    """Return the options of all commands: setting or parameter name → flags."""
    context = click.Context(deployment_cli)
    found: dict[str, set[str]] = {}
    for name in deployment_cli.list_commands(context):
        command = deployment_cli.get_command(context, name)
        assert command is not None
        for option in command.params:
            if isinstance(option, click.Option):
                found.setdefault(str(option.name), set()).update(option.opts)
    return found


def test_every_setting_but_secrets_is_an_option_somewhere() -> None:
    missing = {name for name, source in SOURCES.items() if not source.secret} - set(
        command_options()
    )
    assert missing == set()


def test_an_option_has_the_name_of_its_setting() -> None:
    for name, flags in command_options().items():
        if name in SOURCES:
            assert not SOURCES[name].secret
            assert option_name(name) in flags


@pytest.mark.parametrize("name", SOURCES)
def test_every_setting_is_described_in_one_short_sentence(name: str) -> None:
    text = SOURCES[name].help
    assert text[0].isupper()
    assert text.endswith(".")
    assert len(text) < 100


def test_environment_variables_are_not_shared() -> None:
    names = [source.env for source in SOURCES.values() if source.env]
    names += [default_variable(name) for name in SOURCES]
    again = {name for name in names if names.count(name) > 1}
    assert all(SOURCES[name.removeprefix("IGN_DEPLOY_").lower()].env == name for name in again)


def test_the_action_names_every_command() -> None:
    text = " ".join(ACTION["inputs"]["command"]["description"].split())
    for name in deployment_cli.list_commands(click.Context(deployment_cli)):
        # A key must not be generated in a job's log; where an action runs, a workflow is there.
        assert name in text or name in {"generate-certificate", "init"}


def test_the_help_shows_defaults_units_and_groups() -> None:
    shown = CliRunner().invoke(deployment_cli, ["install", "--help"], obj={}).output
    for part in (
        r"^Gateways:\n",
        r"--timeout SECONDS [^-]*\[default:\s+300\]",
        r"--gateway URL\|NAME",
    ):
        assert re.search(part, shown, re.M), part


def test_names_in_the_glossary_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    [glossary] = re.findall(r"^## Glossary\n(.*?)^## ", text, re.M | re.S)
    names = {
        name
        for row in re.findall(r"^\|.*\| (`.*`.*?) \|$", glossary, re.M)
        for name in re.findall(r"`([\w-]+)`", row)
    }
    code = "\n".join(path.read_text("utf-8") for path in (ROOT / "ign_deploy").rglob("*.py"))
    assert len(names) > 20
    assert {name for name in names if not re.search(rf"\b{name}\b", code)} == set()


def test_a_public_function_or_class_has_one_meaning() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "ign_deploy").rglob("*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                modules[node.name].append(str(path.relative_to(ROOT)))
    assert len(modules) > 500
    assert {name: found for name, found in modules.items() if len(found) > 1} == {}


OLD_WORDS = re.compile(
    rb"\b(?:mend|mends|mended|anew|Tell whether|Teller|Shelf|Upkeep|Patience|wishes|way_back"
    rb"|in_doubt|is no error|webhook_form|isn't said which)\b"
)


def test_words_that_the_glossary_replaces_do_not_return() -> None:
    # The changelog names an option by its old name.
    skipped = {Path(__file__), ROOT / "CHANGELOG.md"}
    found = {
        str(path.relative_to(ROOT)): words
        for path in tracked_files()
        if path not in skipped and path.suffix in {".py", ".md", ".yml", ".toml", ".sh", ".js"}
        if (words := OLD_WORDS.findall(path.read_bytes()))
    }
    assert found == {}
