"""The house is in order: files that must agree do, and nothing local slipped in."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from ign_deploy import __version__
from ign_deploy.ci.outputs import OUTPUT_NAMES
from ign_deploy.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))


def locked(name: str) -> dict[str, str]:
    """Return the blocks of a lock file by requirement (``name==version``)."""
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
    """Return the files git knows; outside a checkout, everything that isn't generated."""
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
def test_what_every_project_has_is_there(name: str) -> None:
    assert (ROOT / name).read_text("utf-8").strip()


def test_the_licence_is_mit() -> None:
    assert PROJECT["project"]["license"] == "MIT"
    assert "Copyright (c) 2026 ign-deploy contributors" in (ROOT / "LICENSE").read_text("utf-8")


def test_the_changelog_has_a_place_for_what_is_unreleased() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_version_is_a_version() -> None:
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
def test_lock_files_name_no_index_and_no_path(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert not re.search(r"https?:|file:|--(?:extra-)?index|find-links|\s@\s|/[a-z]+/", text)


def test_both_lock_files_agree_and_hold_every_dependency() -> None:
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
        if requirement.startswith(("cryptography==", "pydantic-core==", "zlib-ng==")):
            assert block.count("--hash=sha256:") > 10


def test_every_input_and_output_of_the_action_is_described() -> None:
    for about in (*ACTION["inputs"].values(), *ACTION["outputs"].values()):
        assert len(about["description"]) > 10
        assert about.keys() <= {"description", "default"}


def test_the_actions_inputs_are_the_settings() -> None:
    settings = {name.replace("_", "-") for name, _, _ in Settings.names()}
    assert set(ACTION["inputs"]) == settings | {"command", "path"}


def test_only_the_command_has_a_default_so_that_empty_means_unset() -> None:
    defaults = {name for name, about in ACTION["inputs"].items() if "default" in about}
    assert defaults == {"command"}


def test_the_actions_outputs_are_the_ones_we_write() -> None:
    assert tuple(ACTION["outputs"]) == OUTPUT_NAMES


def test_the_action_holds_no_logic() -> None:
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


def test_scripts_can_be_executed_and_stop_at_errors() -> None:
    scripts = [*(ROOT / "tools").glob("*.sh"), ROOT / ".ci" / "run"]
    assert len(scripts) >= 5
    for script in scripts:
        assert script.stat().st_mode & 0o111 == 0o111
        lines = script.read_text("utf-8").splitlines()
        assert lines[0] == "#!/usr/bin/env bash"
        assert any(re.match(r"set -e?uo pipefail$", line) for line in lines)


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    # Put together here, so that this file does not find itself.
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


def test_the_reference_pages_are_not_referred_to() -> None:
    marker = b"../sha" + b"red"
    found = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.stat().st_size < 1_000_000 and marker in path.read_bytes()
    ]
    assert found == []
