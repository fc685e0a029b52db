"""Everything that would stop a release is reported at once, before any build starts."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.builds import fake_java, gradle_wrapper
from tests.support.cli import KEY, MODULE, CliWorkspace
from tests.support.identities import pem_key, rsa_key


@pytest.fixture
def project(workspace: CliWorkspace) -> Path:
    """A Gradle project whose build leaves a trace."""
    java = fake_java(workspace.folder / "java", "17.0.1")
    (workspace.folder / ".env").write_text(f"JAVA_HOME={java}\n")
    return gradle_wrapper(workspace.folder / "project", "touch started")


def java(workspace: CliWorkspace) -> dict[str, str]:
    return {"JAVA_HOME": str(workspace.folder / "java")}


def no_java(workspace: CliWorkspace) -> dict[str, str]:
    """Return an environment whose PATH has the shell's tools, but no Java."""
    tools = workspace.folder / "tools"
    tools.mkdir()
    for name in ("sh", "touch", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)
    return {"PATH": str(tools), "JAVA_HOME": ""}


def codes(workspace: CliWorkspace, *arguments: str, **env: str) -> tuple[int, list[str]]:
    result = workspace.call(*arguments, "--json", env=env)
    findings = result.document["error"]["findings"]
    assert all(finding["hint"] for finding in findings)
    return result.exit_code, [finding["code"] for finding in findings]


def test_every_problem_is_reported_and_nothing_was_built(
    workspace: CliWorkspace, project: Path
) -> None:
    encrypted = pem_key(rsa_key("Test Vendor"), password="right")
    (workspace.folder / "signing.key.pem").write_bytes(encrypted)
    (workspace.folder / "a-file").touch()
    result = workspace.release(
        "--repository-url", "missing/parent/repository",
        "--version", "1.0.0-alpha.1",
        "--trust-anchor", "nowhere.pem",
        "--gradle-args", "'unclosed",
        "--output-dir", "a-file",
        path=project,
        env={**no_java(workspace), "MODULE_SIGNING_PASSWORD": "wrong-one"},
    ).must(2)  # fmt: skip
    for reported in (
        "1.0.0-alpha.1",
        "password",
        "missing/parent",
        "nowhere.pem",
        "quotation",
        "no Java was found",
        "a-file is not a folder",
    ):
        assert reported in result.stderr
    assert result.stderr.count("error[") == 7
    assert result.stderr.count("  hint: ") + result.stderr.count("  to do:") == 7
    assert "7 problems found before the start" in result.stderr
    assert "wrong-one" not in result.stderr
    assert not (project / "started").exists()
    assert not (workspace.folder / "dist").exists()


def test_when_all_is_well_the_build_is_started(workspace: CliWorkspace, project: Path) -> None:
    result = workspace.release(path=project, env=java(workspace)).must(3)
    assert (project / "started").exists()
    assert "made no .modl" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("--version", "1.0.0-alpha.1"), 2, "version-syntax"),
        (("--version", "1.2"), 2, "version-syntax"),
        (("--alias", "x", "--keystore", "signing.cert.pem"), 2, "configuration"),
        (("--repository-url", "missing/parent/repository"), 6, "repository"),
        (("--repository-url", "gopher://host/repository"), 2, "configuration"),
        (("--output-dir", "a-file/deep"), 2, "configuration"),
        (("--notes-file", "latin.md"), 2, "configuration"),
    ],
    ids=lambda value: str(value[0]) if isinstance(value, tuple) else None,
)
def test_one_problem_ends_with_the_exit_code_of_its_kind(
    workspace: CliWorkspace, project: Path, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    (workspace.folder / "a-file").touch()
    (workspace.folder / "latin.md").write_bytes("grün".encode("latin-1"))
    command = ("module", str(project), *KEY, *arguments)
    assert codes(workspace, *command, **java(workspace)) == (exit_code, [code])
    assert not (project / "started").exists()


def test_problems_of_signing_alone_end_with_4(workspace: CliWorkspace, project: Path) -> None:
    (workspace.folder / "signing.key.pem").write_bytes(pem_key(rsa_key("other")))
    command = ("module", str(project), *KEY)
    assert codes(workspace, *command, **java(workspace)) == (4, ["identity"])


def test_without_a_key_the_way_out_is_reported(workspace: CliWorkspace) -> None:
    refused = workspace.call("module", MODULE).must(4)
    assert "no signing key given" in refused.stderr
    assert "--skip-signing" in refused.stderr


def test_no_java_ends_with_3(workspace: CliWorkspace, project: Path) -> None:
    command = ("module", str(project), *KEY)
    assert codes(workspace, *command, **no_java(workspace)) == (3, ["packaging"])


def test_a_missing_toolchain_ends_with_3_and_the_project_is_not_called_ok(
    workspace: CliWorkspace, project: Path
) -> None:
    (project / "build.gradle").write_text("java.toolchain.languageVersion = ")
    assert "ok: build files" in workspace.call("package", project, "--dry-run").must(0).stderr
    (project / "build.gradle.kts").write_text("kotlin { jvmToolchain(13) }")
    for command in (("package", project), ("validate-env", project, "--packaging")):
        result = workspace.call(*command).must(3)
        assert "build.gradle.kts needs JDK 13 as a toolchain" in result.stderr
        assert "actions/setup-java" in result.stderr
        assert "ok: build files" not in result.stderr


def test_a_repository_that_cannot_be_written_is_found_before(
    workspace: CliWorkspace, project: Path
) -> None:
    store = workspace.folder / "store"
    store.mkdir(mode=0o555)
    command = ("module", str(project), *KEY, "--repository-url", str(store))
    env = java(workspace)
    result = workspace.run(*command, env=env, conditions={"powerless": True}).must(6)
    assert str(store) in result.stderr
    assert not (project / "started").exists()


def test_an_output_folder_below_one_that_cannot_be_entered(workspace: CliWorkspace) -> None:
    locked = workspace.folder / "locked"
    (locked / "deep").mkdir(parents=True)
    locked.chmod(0)
    try:
        result = workspace.release("-o", "locked/deep/er", conditions={"powerless": True}).must(2)
    finally:
        locked.chmod(0o755)
    assert "locked" in result.stderr


def test_an_environment_that_is_ready_says_what_was_checked(
    workspace: CliWorkspace, project: Path
) -> None:
    result = workspace.call("validate-env", project, *KEY, "--json", env=java(workspace)).must(0)
    assert result.document["result"] == "ready"
    assert {"signing key and certificates", "repository", "build files and tools"} <= set(
        result.document["checked"]
    )
    assert not (project / "started").exists()
    assert not workspace.repository.exists()


def test_only_what_was_chosen_is_validated(workspace: CliWorkspace, project: Path) -> None:
    bad = ("--repository-url", "missing/parent/repository", "--version", "x")
    env = no_java(workspace)
    workspace.call("validate-env", project, "--signing", *KEY, *bad, env=env).must(0)
    workspace.call("validate-env", project, "--repository", env=env).must(0)
    workspace.call("validate-env", project, "--repository", *bad, env=env).must(6)
    workspace.call("validate-env", project, "--signing", env=env).must(4)
    workspace.call("validate-env", project, "--packaging", env=env).must(3)


def test_everything_is_validated_without_a_choice(workspace: CliWorkspace, project: Path) -> None:
    bad = ("--repository-url", "missing/parent/repository", "--version", "x")
    exit_code, found = codes(workspace, "validate-env", str(project), *bad, **no_java(workspace))
    assert exit_code == 2
    assert sorted(found) == ["identity", "packaging", "repository", "version-syntax"]
