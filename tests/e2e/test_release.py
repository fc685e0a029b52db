"""The whole job through the command line: package, sign, verify, upload, list, download."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.builds import EXAMPLE, gradle_wrapper, script
from tests.support.cli import KEY, MODULE, CliWorkspace
from tests.support.modules import bare_folder, build_module, module_files
from tests.support.releases import tree

ID = "com.example.pump"


def modules_below(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.rglob("*.modl"))}


def test_a_prebuilt_module_goes_all_the_way_and_comes_back(workspace: CliWorkspace) -> None:
    released = workspace.release("--notes", "first", "--tags", "blue,green").must(0)
    assert released.stdout.startswith("result: uploaded\n")
    signed = workspace.folder / "dist" / "pump.modl"
    workspace.call("verify", signed, "--trust-anchor", "signing.cert.pem").must(0)
    listed = workspace.call("list-modules", "--json").must(0).document
    (module,) = listed["modules"]
    assert (module["id"], module["version"], module["tags"]) == (ID, "1.2.3", ["blue", "green"])
    workspace.call("download", "Pump", "-o", "back").must(0)
    workspace.call("download", f"{ID}@1.2.3", "-o", "back").must(0)
    workspace.call("download", "Pump@v1.2.3", "-o", "back").must(0)
    assert "has no version '9.9.9'" in workspace.call("download", "Pump@9.9.9").must(6).stderr
    assert "two versions" in workspace.call("download", "Pump@1.2.3", "-v", "1.0.0").must(2).stderr
    (back,) = (workspace.folder / "back").iterdir()
    assert back.read_bytes() == signed.read_bytes()
    yanked = workspace.call("yank", f"{ID}@v1.2.3", "--reason", "test").must(0)
    assert yanked.stdout == f"yanked: {ID} 1.2.3\n"


def test_a_bare_folder_is_released_from_within_twice_with_equal_bytes(
    workspace: CliWorkspace,
) -> None:
    root = bare_folder(workspace.folder / "project")
    key = [f"../{word}" if word.endswith(".pem") else word for word in KEY]
    first = CliWorkspace(root).call("module", *key).must(0)
    made = modules_below(root)
    second = CliWorkspace(root).call("module", ".", *key).must(0)
    assert first.stdout.startswith("result: uploaded\n")
    assert second.stdout.startswith("result: unchanged\n")
    assert modules_below(root) == made
    with zipfile.ZipFile(root / "dist" / "Pump.modl") as archive:
        assert sorted(set(archive.namelist()) - {"signatures.properties", "certificates.p7b"}) == (
            sorted(module_files())
        )


@pytest.mark.long
def test_the_example_is_built_by_gradle_signed_published_and_fetched(
    workspace: CliWorkspace,
) -> None:
    project = workspace.folder / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("build", ".gradle", "dist"))
    result = workspace.release("--json", "--format", "both", path=project).must(0)
    (module,) = result.document["modules"]
    assert module["result"] == "uploaded"
    stages = [(stage["name"], stage["result"]) for stage in result.document["stages"]]
    names = ("preflight", "package", "validate", "sign", "verify", "bundle", "upload")
    assert stages == [(name, "ok") for name in names]
    assert json.loads((workspace.folder / "dist/ign-deploy-result.json").read_text()) == (
        result.document
    )
    workspace.call("download", module["name"], "-v", module["version"], "-o", "back").must(0)
    (back,) = (workspace.folder / "back").iterdir()
    assert back.read_bytes() == (workspace.folder / module["file"]).read_bytes()
    workspace.call("verify", back, "--trust-anchor", "signing.cert.pem").must(0)


def test_the_same_release_again_is_unchanged(workspace: CliWorkspace) -> None:
    workspace.release("--format", "both").must(0)
    before = workspace.tree()
    again = workspace.release("--json", "--format", "both").must(0)
    assert again.document["result"] == "unchanged"
    report = "dist/ign-deploy-result.json"
    assert {**workspace.tree(), report: None} == {**before, report: None}


def test_other_bytes_for_a_published_version_are_a_conflict(workspace: CliWorkspace) -> None:
    workspace.release().must(0)
    before = tree(workspace.repository)
    build_module(workspace.folder / MODULE, files={"doc/new.html": b"new"})
    refused = workspace.release("--json").must(6)
    assert refused.document["error"]["code"] == "conflict"
    assert refused.document["error"]["hint"]
    assert "1.2.3" in refused.document["error"]["message"]
    assert tree(workspace.repository) == before


def test_another_version_than_requested_is_not_signed(workspace: CliWorkspace) -> None:
    refused = workspace.release("--version", "1.2.4").must(5)
    assert "'1.2.3'" in refused.stderr
    assert "'1.2.4'" in refused.stderr
    assert not modules_below(workspace.folder / "dist")
    assert not workspace.repository.exists()


def test_the_asked_version_passes_however_it_is_written(workspace: CliWorkspace) -> None:
    workspace.release("--version", "1.2.3", "--module-id", ID, "--skip-upload").must(0)


@pytest.mark.parametrize(
    "arguments",
    [
        ("module", MODULE, *KEY, "--skip-upload"),
        ("module", MODULE, *KEY, "--version", "9.9.9"),
        ("module", MODULE, "--format", "tar"),
        ("sign", MODULE, *KEY),
        ("verify", MODULE),
        ("inspect", MODULE),
        ("package", MODULE),
        ("upload", MODULE),
        ("download", "nothing"),
        ("list-modules",),
        ("validate-env", MODULE, *KEY),
        ("generate-certificate", "--common-name", "X", "-o", "made"),
        ("modul",),
        ("sign",),
    ],
    ids=lambda arguments: "-".join(arguments[:1]),
)
def test_json_is_one_document_on_stdout_also_after_a_failure(
    workspace: CliWorkspace, arguments: tuple[str, ...]
) -> None:
    result = workspace.call(*arguments, "--json")
    document = result.document
    if result.exit_code and "error" in document:
        assert document["result"] == "failed"
        assert document["error"]["exit_code"] == result.exit_code
        assert document["error"]["message"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("module", MODULE, *KEY, "--format", "both"),
        ("module", "project", *KEY),
        ("package", "project"),
        ("sign", MODULE, *KEY),
        ("upload", "signed.modl"),
    ],
    ids=["module", "folder", "package", "sign", "upload"],
)
def test_a_dry_run_changes_nothing_on_disk(
    workspace: CliWorkspace, arguments: tuple[str, ...]
) -> None:
    bare_folder(workspace.folder / "project")
    if "signed.modl" in arguments:
        workspace.signed().rename(workspace.folder / "signed.modl")
    before = workspace.tree()
    result = workspace.call(*arguments, "--dry-run", "--json").must(0)
    assert result.document["result"] == "dry-run"
    assert workspace.tree() == before


@pytest.mark.parametrize("command", ["package", "module", "batch"])
def test_a_dry_run_prints_the_command_that_would_build(
    workspace: CliWorkspace, command: str
) -> None:
    root = gradle_wrapper(workspace.folder / "p", "exit 1")
    key = () if command == "package" else KEY
    args = ("--gradle-args", "-PrepoPassword=s3cret -Px=1")
    shown = workspace.call(command, "p", *key, *args, "--dry-run").must(0).stderr
    assert f"would run sh {root}/gradlew --no-daemon" in shown
    assert f"'-PrepoPassword=***' -Px=1 clean zipModule in {root}" in shown
    assert "s3cret" not in shown
    script(workspace.folder / "m" / "mvnw", "exit 1")
    (workspace.folder / "m" / "pom.xml").touch()
    shown = workspace.call(command, "m", *key, "--dry-run").must(0).stderr
    assert f"{workspace.folder}/m/mvnw -B -ntp" in shown
    assert f"clean package in {workspace.folder}/m\n" in shown
    shown = workspace.call(command, MODULE, *key, "--dry-run").must(0).stderr
    assert "would run" not in shown, "nothing is built"


def test_a_signed_module_is_published_as_it_is(workspace: CliWorkspace) -> None:
    signed = workspace.signed()
    result = workspace.call("module", signed, "--skip-signing", "--json").must(0)
    assert [stage["result"] for stage in result.document["stages"] if stage["name"] == "sign"] == [
        "skipped"
    ]
    workspace.call("download", ID, "-o", "back").must(0)
    (back,) = (workspace.folder / "back").iterdir()
    assert back.read_bytes() == signed.read_bytes()


def test_without_upload_there_is_no_repository(workspace: CliWorkspace) -> None:
    assert workspace.release("--skip-upload").must(0).stdout.startswith("result: verified\n")
    assert not workspace.repository.exists()


def test_without_signing_and_upload_it_is_only_packaged(workspace: CliWorkspace) -> None:
    result = workspace.call("module", MODULE, "--skip-signing", "--skip-upload").must(0)
    assert result.stdout.startswith("result: packaged\n")


def test_a_built_module_is_taken_without_building_again(workspace: CliWorkspace) -> None:
    project = workspace.folder / "project"
    project.mkdir()
    (project / "build.gradle").write_text("throw new Exception('never read')\n")
    build_module(project / "build" / MODULE)
    workspace.release("--skip-packaging", path=project).must(0)


def test_the_bundle_holds_the_signed_module_and_true_checksums(workspace: CliWorkspace) -> None:
    result = workspace.release("--format", "both", "--notes", "# New\n", "--json").must(0)
    bundle = workspace.folder / result.document["modules"][0]["bundle"]
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(workspace.folder / "out")
    (folder,) = (workspace.folder / "out").iterdir()
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=True)
    (module,) = folder.glob("*.modl")
    assert module.read_bytes() == (workspace.folder / "dist/pump.modl").read_bytes()
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert listed == there - {"SHA256SUMS"}
    assert (folder / "RELEASE-NOTES.md").read_text() == "# New\n"


def test_the_bundle_is_the_same_from_another_folder_and_time(
    workspace: CliWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = CliWorkspace(tmp_path_factory.mktemp("other"))
    shutil.copytree(workspace.folder, other.folder, dirs_exist_ok=True)
    for location, env in ((workspace, {"TZ": "Asia/Tokyo"}), (other, {"LC_ALL": "C", "TZ": "UTC"})):
        location.release("--format", "zip", "--skip-upload", env=env).must(0)
    bundles = [next((location.folder / "dist").glob("*.zip")) for location in (workspace, other)]
    assert bundles[0].read_bytes() == bundles[1].read_bytes()


def test_an_unsigned_module_never_becomes_a_bundle(workspace: CliWorkspace) -> None:
    for arguments in (
        ("module", MODULE, "--skip-signing", "--skip-upload", "--format", "both"),
        ("package", MODULE, "--format", "zip"),
    ):
        refused = workspace.call(*arguments).must(5)
        assert "not signed" in refused.stderr
    assert not list(workspace.folder.rglob("*.zip"))


def test_a_bundle_is_made_of_a_signed_module(workspace: CliWorkspace) -> None:
    result = workspace.call("package", workspace.signed(), "--format", "zip", "--json").must(0)
    assert Path(workspace.folder, result.document["modules"][0]["bundle"]).is_file()


def test_notes_are_read_from_a_file(workspace: CliWorkspace) -> None:
    (workspace.folder / "NOTES.md").write_text("grüße aus der datei\n")
    workspace.release("--notes-file", "NOTES.md").must(0)
    record = next(workspace.repository.rglob("release.json"))
    assert json.loads(record.read_text())["notes"] == "grüße aus der datei\n"


def test_flag_environment_and_config_file_count_in_this_order(workspace: CliWorkspace) -> None:
    config = workspace.folder / "ign-deploy.toml"
    config.write_text('output-dir = "from-config"\nrepository-url = "store"\ntags = ["t"]\n')
    workspace.release("--skip-upload").must(0)
    assert (workspace.folder / "from-config" / "pump.modl").is_file()
    env = {"DEPLOYMENT_OUTPUT_DIR": "from-env"}
    workspace.release(env=env).must(0)
    assert (workspace.folder / "from-env" / "pump.modl").is_file()
    workspace.release("--skip-upload", "-o", "from-flag", env=env).must(0)
    assert (workspace.folder / "from-flag" / "pump.modl").is_file()
    assert (workspace.folder / "store" / "index.json").is_file()


def test_the_record_links_to_the_documentation(workspace: CliWorkspace) -> None:
    (workspace.folder / "ign-deploy.toml").write_text('documentation-url = "https://a.example/b"\n')
    workspace.release().must(0)
    (record,) = workspace.repository.glob("modules/*/*/release.json")
    assert json.loads(record.read_bytes())["documentation_url"] == "https://a.example/b"


def test_settings_stand_in_pyproject_too(workspace: CliWorkspace) -> None:
    (workspace.folder / "pyproject.toml").write_text(
        '[tool.ign-deploy]\nskip-upload = true\nkey-path = "signing.key.pem"\n'
        'cert-path = "signing.cert.pem"\n'
    )
    assert workspace.call("module", MODULE).must(0).stdout.startswith("result: verified\n")


def test_a_secret_in_a_config_file_is_rejected_and_not_repeated(workspace: CliWorkspace) -> None:
    (workspace.folder / "ign-deploy.toml").write_text('signing-password = "hunter2hunter2"\n')
    refused = workspace.release().must(2)
    assert "ign-deploy.toml contains the secret setting 'signing-password'" in refused.stderr
    assert "MODULE_SIGNING_PASSWORD" in refused.stderr
    assert "hunter2" not in refused.stderr


def test_an_unknown_setting_gets_a_suggestion(workspace: CliWorkspace) -> None:
    (workspace.folder / "ign-deploy.toml").write_text('repositry-url = "x"\n')
    refused = workspace.release().must(2)
    assert "repositry-url" in refused.stderr
    assert "did you mean 'repository-url'?" in refused.stderr
