"""The whole job through the command line: package, sign, verify, upload, list, download."""

from __future__ import annotations

import json
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.support.builds import EXAMPLE
from tests.support.cli import KEY, MODULE, Workshop
from tests.support.modules import build_module, module_files
from tests.support.releases import tree

ID = "com.example.pump"


def bare_folder(root: Path) -> Path:
    """Make a project without build files: module.xml and what it names."""
    for name, data in module_files().items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def modules_below(root: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(root.rglob("*.modl"))}


def test_a_prebuilt_module_goes_all_the_way_and_comes_back(workshop: Workshop) -> None:
    released = workshop.release("--notes", "first", "--tags", "blue,green").must(0)
    assert released.stdout.startswith("result: uploaded\n")
    signed = workshop.folder / "dist" / "pump.modl"
    workshop.run("verify", signed, "--trust-anchor", "signing.cert.pem").must(0)
    listed = workshop.run("list-modules", "--json").must(0).document
    (module,) = listed["modules"]
    assert (module["id"], module["version"], module["tags"]) == (ID, "1.2.3", ["blue", "green"])
    workshop.run("download", "Pump", "-o", "back").must(0)
    (back,) = (workshop.folder / "back").iterdir()
    assert back.read_bytes() == signed.read_bytes()


def test_a_bare_folder_is_released_from_within_twice_with_equal_bytes(workshop: Workshop) -> None:
    root = bare_folder(workshop.folder / "project")
    key = [f"../{word}" if word.endswith(".pem") else word for word in KEY]
    first = Workshop(root).run("module", *key).must(0)
    made = modules_below(root)
    second = Workshop(root).run("module", ".", *key).must(0)
    assert first.stdout.startswith("result: uploaded\n")
    assert second.stdout.startswith("result: unchanged\n")
    assert modules_below(root) == made
    with zipfile.ZipFile(root / "dist" / "Pump.modl") as archive:
        assert sorted(set(archive.namelist()) - {"signatures.properties", "certificates.p7b"}) == (
            sorted(module_files())
        )


def test_the_example_is_built_by_gradle_signed_published_and_fetched(workshop: Workshop) -> None:
    project = workshop.folder / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("build", ".gradle", "dist"))
    result = workshop.release("--json", "--format", "both", path=project).must(0)
    (module,) = result.document["modules"]
    assert module["result"] == "uploaded"
    stages = [(stage["name"], stage["result"]) for stage in result.document["stages"]]
    names = ("preflight", "package", "validate", "sign", "verify", "bundle", "upload")
    assert stages == [(name, "ok") for name in names]
    assert json.loads((workshop.folder / "dist/ign-deploy-result.json").read_text()) == (
        result.document
    )
    workshop.run("download", module["name"], "-v", module["version"], "-o", "back").must(0)
    (back,) = (workshop.folder / "back").iterdir()
    assert back.read_bytes() == (workshop.folder / module["file"]).read_bytes()
    workshop.run("verify", back, "--trust-anchor", "signing.cert.pem").must(0)


def test_the_same_release_again_is_unchanged(workshop: Workshop) -> None:
    workshop.release("--format", "both").must(0)
    before = workshop.tree()
    again = workshop.release("--json", "--format", "both").must(0)
    assert again.document["result"] == "unchanged"
    report = "dist/ign-deploy-result.json"
    assert {**workshop.tree(), report: None} == {**before, report: None}


def test_other_bytes_for_a_published_version_are_a_conflict(workshop: Workshop) -> None:
    workshop.release().must(0)
    before = tree(workshop.repository)
    build_module(workshop.folder / MODULE, files={"doc/new.html": b"new"})
    refused = workshop.release("--json").must(6)
    assert refused.document["error"]["code"] == "conflict"
    assert refused.document["error"]["hint"]
    assert "1.2.3" in refused.document["error"]["message"]
    assert tree(workshop.repository) == before


def test_another_version_than_asked_for_is_not_signed(workshop: Workshop) -> None:
    refused = workshop.release("--version", "1.2.4").must(5)
    assert "'1.2.3'" in refused.stderr
    assert "'1.2.4'" in refused.stderr
    assert not modules_below(workshop.folder / "dist")
    assert not workshop.repository.exists()


def test_the_asked_version_passes_however_it_is_written(workshop: Workshop) -> None:
    workshop.release("--version", "1.2.3", "--module-id", ID, "--skip-upload").must(0)


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
    workshop: Workshop, arguments: tuple[str, ...]
) -> None:
    result = workshop.call(*arguments, "--json")
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
def test_a_dry_run_changes_nothing_on_disk(workshop: Workshop, arguments: tuple[str, ...]) -> None:
    bare_folder(workshop.folder / "project")
    if "signed.modl" in arguments:
        workshop.signed().rename(workshop.folder / "signed.modl")
    before = workshop.tree()
    result = workshop.call(*arguments, "--dry-run", "--json").must(0)
    assert result.document["result"] == "dry-run"
    assert workshop.tree() == before


def test_a_signed_module_is_published_as_it_is(workshop: Workshop) -> None:
    signed = workshop.signed()
    result = workshop.run("module", signed, "--skip-signing", "--json").must(0)
    assert [stage["result"] for stage in result.document["stages"] if stage["name"] == "sign"] == [
        "skipped"
    ]
    workshop.run("download", ID, "-o", "back").must(0)
    (back,) = (workshop.folder / "back").iterdir()
    assert back.read_bytes() == signed.read_bytes()


def test_without_upload_there_is_no_repository(workshop: Workshop) -> None:
    assert workshop.release("--skip-upload").must(0).stdout.startswith("result: verified\n")
    assert not workshop.repository.exists()


def test_without_signing_and_upload_it_is_only_packaged(workshop: Workshop) -> None:
    result = workshop.run("module", MODULE, "--skip-signing", "--skip-upload").must(0)
    assert result.stdout.startswith("result: packaged\n")


def test_a_built_module_is_taken_without_building_again(workshop: Workshop) -> None:
    project = workshop.folder / "project"
    project.mkdir()
    (project / "build.gradle").write_text("throw new Exception('never read')\n")
    build_module(project / "build" / MODULE)
    workshop.release("--skip-packaging", path=project).must(0)


def test_the_bundle_holds_the_signed_module_and_true_checksums(workshop: Workshop) -> None:
    result = workshop.release("--format", "both", "--notes", "# New\n", "--json").must(0)
    bundle = workshop.folder / result.document["modules"][0]["bundle"]
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(workshop.folder / "out")
    (folder,) = (workshop.folder / "out").iterdir()
    subprocess.run(["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=folder, check=True)
    (module,) = folder.glob("*.modl")
    assert module.read_bytes() == (workshop.folder / "dist/pump.modl").read_bytes()
    listed = {line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert listed == there - {"SHA256SUMS"}
    assert (folder / "RELEASE-NOTES.md").read_text() == "# New\n"


def test_the_bundle_is_the_same_from_another_folder_and_time(
    workshop: Workshop, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Workshop(tmp_path_factory.mktemp("other"))
    shutil.copytree(workshop.folder, other.folder, dirs_exist_ok=True)
    for location, env in ((workshop, {"TZ": "Asia/Tokyo"}), (other, {"LC_ALL": "C", "TZ": "UTC"})):
        location.release("--format", "zip", "--skip-upload", env=env).must(0)
    bundles = [next((location.folder / "dist").glob("*.zip")) for location in (workshop, other)]
    assert bundles[0].read_bytes() == bundles[1].read_bytes()


def test_an_unsigned_module_never_becomes_a_bundle(workshop: Workshop) -> None:
    for arguments in (
        ("module", MODULE, "--skip-signing", "--skip-upload", "--format", "both"),
        ("package", MODULE, "--format", "zip"),
    ):
        refused = workshop.run(*arguments).must(5)
        assert "not signed" in refused.stderr
    assert not list(workshop.folder.rglob("*.zip"))


def test_a_bundle_is_made_of_a_signed_module(workshop: Workshop) -> None:
    result = workshop.run("package", workshop.signed(), "--format", "zip", "--json").must(0)
    assert Path(workshop.folder, result.document["modules"][0]["bundle"]).is_file()


def test_notes_are_read_from_a_file(workshop: Workshop) -> None:
    (workshop.folder / "NOTES.md").write_text("grüße aus der datei\n")
    workshop.release("--notes", "NOTES.md").must(0)
    record = next(workshop.repository.rglob("release.json"))
    assert json.loads(record.read_text())["notes"] == "grüße aus der datei\n"


def test_flag_environment_and_config_file_count_in_this_order(workshop: Workshop) -> None:
    config = workshop.folder / "ign-deploy.toml"
    config.write_text('output-dir = "from-config"\nrepository-url = "shelf"\ntags = ["t"]\n')
    workshop.release("--skip-upload").must(0)
    assert (workshop.folder / "from-config" / "pump.modl").is_file()
    env = {"DEPLOYMENT_OUTPUT_DIR": "from-env"}
    workshop.release(env=env).must(0)
    assert (workshop.folder / "from-env" / "pump.modl").is_file()
    workshop.release("--skip-upload", "-o", "from-flag", env=env).must(0)
    assert (workshop.folder / "from-flag" / "pump.modl").is_file()
    assert (workshop.folder / "shelf" / "index.json").is_file()


def test_settings_stand_in_pyproject_too(workshop: Workshop) -> None:
    (workshop.folder / "pyproject.toml").write_text(
        '[tool.ign-deploy]\nskip-upload = true\nkey-path = "signing.key.pem"\n'
        'cert-path = "signing.cert.pem"\n'
    )
    assert workshop.run("module", MODULE).must(0).stdout.startswith("result: verified\n")


def test_a_secret_in_a_config_file_is_refused_and_not_repeated(workshop: Workshop) -> None:
    (workshop.folder / "ign-deploy.toml").write_text('signing-password = "hunter2hunter2"\n')
    refused = workshop.release().must(2)
    assert "ign-deploy.toml contains the secret setting 'signing-password'" in refused.stderr
    assert "MODULE_SIGNING_PASSWORD" in refused.stderr
    assert "hunter2" not in refused.stderr


def test_an_unknown_setting_gets_a_suggestion(workshop: Workshop) -> None:
    (workshop.folder / "ign-deploy.toml").write_text('repositry-url = "x"\n')
    refused = workshop.release().must(2)
    assert "repositry-url" in refused.stderr
    assert "did you mean 'repository-url'?" in refused.stderr
