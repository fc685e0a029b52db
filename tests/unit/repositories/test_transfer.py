"""Upload and download together, over a real directory repository."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from ign_deploy.errors import (
    ConfigurationError,
    NotInRepository,
    RepositoryError,
    VerificationError,
)
from ign_deploy.module.artifacts import Bundle, VerifiedModule
from ign_deploy.repositories import PublishOutcome, Repository
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.download import download
from ign_deploy.repositories.upload import upload
from tests.support.modules import build_module, zip_bytes
from tests.support.releases import CERTIFICATE, PUBLISHED_AT, tree, verified_module


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return open_repository(str(tmp_path / "repository"))


@pytest.fixture
def module(tmp_path: Path) -> VerifiedModule:
    path = tmp_path / "in" / "Thing.modl"
    path.parent.mkdir()
    path.write_bytes(b"signed module")
    return verified_module(path)


def record_path(tmp_path: Path, version: str = "1.0.0") -> Path:
    return tmp_path / "repository" / "modules" / "com.acme.thing" / version / "release.json"


def written_bundle(path: Path) -> Bundle:
    path.write_bytes(b"bundle")
    return Bundle(path, hashlib.sha256(b"bundle").hexdigest(), 6)


def test_the_record_tells_all_that_is_known(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    bundle = written_bundle(tmp_path / "bundle.zip")
    publication = upload(
        module,
        repository,
        published_at=datetime(2026, 1, 31, 14, 0, tzinfo=timezone(timedelta(hours=2))),
        notes="New: all",
        documentation_url="https://docs.acme.example/thing",
        tags=["prod", " plant ", "", "prod"],
        commit="abc123",
        build={"run": "17"},
        bundle=bundle,
    )
    assert publication.outcome is PublishOutcome.PUBLISHED
    record = json.loads(record_path(tmp_path).read_bytes())
    assert record == {
        "schema_version": 1,
        "id": "com.acme.thing",
        "name": "The Thing",
        "version": "1.0.0",
        "description": "Does things",
        "documentation_url": "https://docs.acme.example/thing",
        "required_ignition_version": "8.1.0",
        "required_framework_version": "",
        "max_ignition_version": "",
        "tested_on": [],
        "scopes": ["G", "D", "C"],
        "dependencies": [{"id": "com.acme.base", "scope": "G", "required": True}],
        "free": False,
        "certificate": {
            "subject": "CN=Test Vendor",
            "sha1": "a" * 40,
            "sha256": "b" * 64,
            "not_after": "2120-01-01T00:00:00Z",
        },
        "licence_crc": 7,
        "resigned_from": None,
        "files": [
            {
                "name": "com.acme.thing-1.0.0.modl",
                "role": "module",
                "sha256": module.sha256,
                "size": 13,
            },
            {
                "name": "com.acme.thing-1.0.0.zip",
                "role": "bundle",
                "sha256": hashlib.sha256(b"bundle").hexdigest(),
                "size": 6,
            },
        ],
        "notes": "New: all",
        "tags": ["prod", "plant"],
        "published_at": "2026-01-31T12:00:00Z",
        "commit": "abc123",
        "build": {"run": "17"},
    }


def test_an_own_description_wins_over_the_modules(
    module: VerifiedModule, repository: Repository
) -> None:
    publication = upload(module, repository, published_at=PUBLISHED_AT, description="Mine")
    assert publication.release.description == "Mine"


def test_a_missing_bundle_is_rejected(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    bundle = written_bundle(tmp_path / "bundle.zip")
    bundle.path.unlink()
    with pytest.raises(RepositoryError, match="cannot read"):
        upload(module, repository, published_at=PUBLISHED_AT, bundle=bundle)
    os.mkfifo(bundle.path)
    with pytest.raises(RepositoryError, match="not a regular file"):
        upload(module, repository, published_at=PUBLISHED_AT, bundle=bundle)


@pytest.mark.parametrize("data", [b"BUNDLE", b"bundle and more", b""])
def test_a_bundle_that_changed_since_it_was_made_is_not_published(
    module: VerifiedModule, repository: Repository, tmp_path: Path, data: bytes
) -> None:
    bundle = written_bundle(tmp_path / "bundle.zip")
    bundle.path.write_bytes(data)
    with pytest.raises(RepositoryError):
        upload(module, repository, published_at=PUBLISHED_AT, bundle=bundle)
    assert not record_path(tmp_path).exists()


def test_an_id_that_is_no_folder_name_is_rejected(
    module: VerifiedModule, repository: Repository
) -> None:
    hostile = dataclasses.replace(
        module, descriptor=dataclasses.replace(module.descriptor, id="../../x")
    )
    with pytest.raises(RepositoryError, match="can't be published"):
        upload(hostile, repository, published_at=PUBLISHED_AT)


@pytest.mark.parametrize("name", ["com.acme.thing", "the thing"])
def test_a_download_gives_the_newest_final_release(
    name: str, module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    for version in ("1.9.0", "1.10.0", "2.0.0-rc1"):
        module.path.write_bytes(f"module {version}".encode())
        upload(verified_module(module.path, version=version), repository, published_at=PUBLISHED_AT)
    seen: list[Path] = []

    def verify(path: Path) -> VerifiedModule:
        seen.append(path)
        return verified_module(path, version="1.10.0")

    out = tmp_path / "new" / "out"
    got = download(repository, name, output_dir=out, verify=verify)
    assert got.path == out / "com.acme.thing-1.10.0.modl"
    assert got.path.read_bytes() == b"module 1.10.0"
    assert list(out.iterdir()) == [got.path]
    # Verified before it is moved there, but under its proper name.
    assert seen[0].name == got.path.name
    assert seen[0].parent.name.endswith(".partial")
    assert seen[0].parent.name.startswith(".")


def test_a_download_by_version_takes_that_one(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(verified_module(module.path, version="2.0.0-rc1"), repository, published_at=PUBLISHED_AT)
    got = download(
        repository,
        "com.acme.thing",
        version="2.0.0-rc1",
        output_dir=tmp_path,
        verify=lambda path: verified_module(path, version="2.0.0-rc1"),
    )
    assert got.descriptor.version == "2.0.0-rc1"
    with pytest.raises(NotInRepository, match="no version '9'"):
        download(
            repository, "com.acme.thing", version="9", output_dir=tmp_path, verify=verified_module
        )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sha256": "0" * 64}, "digest-mismatch"),
        ({"size": 12}, "digest-mismatch"),
        ({"size": 14}, "digest-mismatch"),
    ],
)
def test_a_record_that_lies_about_its_file_is_noticed(
    change: dict[str, object],
    code: str,
    module: VerifiedModule,
    repository: Repository,
    tmp_path: Path,
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    record = json.loads(record_path(tmp_path).read_bytes())
    record["files"][0] |= change
    record_path(tmp_path).write_text(json.dumps(record))
    require_rejection(repository, tmp_path, code)


@pytest.mark.parametrize("fingerprint", ["sha1", "sha256"])
def test_a_record_that_lies_about_its_signer_is_noticed(
    fingerprint: str, module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    record = json.loads(record_path(tmp_path).read_bytes())
    record["certificate"][fingerprint] = "c" * len(getattr(CERTIFICATE, fingerprint))
    record_path(tmp_path).write_text(json.dumps(record))
    require_rejection(repository, tmp_path, "record-signer")


@pytest.mark.parametrize(
    ("inside", "code"),
    [({"module_id": "com.evil"}, "record-id"), ({"version": "1.0.1"}, "record-version")],
)
def test_another_module_than_the_record_says_is_noticed(
    inside: dict[str, str],
    code: str,
    module: VerifiedModule,
    repository: Repository,
    tmp_path: Path,
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    require_rejection(repository, tmp_path, code, **inside)


def require_rejection(repository: Repository, folder: Path, code: str, **inside: str) -> None:
    out = folder / "out"
    out.mkdir()
    build_module(out / "com.acme.thing-1.0.0.modl")
    before = tree(out)
    with pytest.raises(VerificationError) as caught:
        download(
            repository,
            "com.acme.thing",
            output_dir=out,
            verify=lambda path: verified_module(path, **inside),  # type: ignore[arg-type]  # names
        )
    assert [finding.code for finding in caught.value.findings] == [code]
    assert tree(out) == before


def test_a_module_that_fails_verification_is_not_handed_over(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)

    def verify(path: Path) -> VerifiedModule:
        raise VerificationError(f"{path.name} is not signed")

    with pytest.raises(VerificationError, match=r"^com\.acme\.thing-1\.0\.0\.modl is not"):
        download(repository, "the thing", output_dir=tmp_path / "out", verify=verify)
    assert list((tmp_path / "out").iterdir()) == []


def rename_in_record(tmp_path: Path, name: str) -> None:
    """Give the module another file name, as a publisher or a store could."""
    record = json.loads(record_path(tmp_path).read_bytes())
    folder = record_path(tmp_path).parent
    (folder / record["files"][0]["name"]).rename(folder / name)
    record["files"][0]["name"] = name
    record_path(tmp_path).write_text(json.dumps(record))


@pytest.mark.parametrize("name", ["root.pem", "ign-deploy.toml", "other.modl"])
def test_a_download_never_gets_the_name_in_the_record(
    name: str, module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    """A record that named its file root.pem replaced the trust anchor."""
    upload(module, repository, published_at=PUBLISHED_AT)
    rename_in_record(tmp_path, name)
    out = tmp_path / "out"
    out.mkdir()
    (out / name).write_bytes(b"mine")
    got = download(repository, "the thing", output_dir=out, verify=verified_module)
    assert got.path == out / "com.acme.thing-1.0.0.modl"
    assert tree(out) == {name: b"mine", got.path.name: b"signed module"}


@pytest.mark.parametrize("kind", ["file", "archive", "folder", "empty folder", "link", "pipe"])
def test_a_download_replaces_nothing_but_a_module(
    kind: str, module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    out = tmp_path / "out"
    out.mkdir()
    path = out / "com.acme.thing-1.0.0.modl"
    other = build_module(tmp_path / "other.modl")
    if kind == "file":
        path.write_bytes(b"-----BEGIN CERTIFICATE-----")
    elif kind == "archive":
        path.write_bytes(zip_bytes({"notes.txt": b"mine"}))
    elif kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
        if kind == "folder":
            (path / "mine").write_bytes(b"mine")
    before = path.lstat()
    content = path.read_bytes() if kind in ("file", "archive") else b""
    with pytest.raises(ConfigurationError, match=r"-1\.0\.0\.modl is in the way") as caught:
        download(repository, "the thing", output_dir=out, verify=verified_module)
    assert "another output folder" in caught.value.hint
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert content in (b"", path.read_bytes() if content else b"")
    assert list(out.iterdir()) == [path]


def test_a_download_replaces_what_was_put_in_its_way_meanwhile_just_as_little(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    path = tmp_path / "out" / "com.acme.thing-1.0.0.modl"

    def verify(partial: Path) -> VerifiedModule:
        path.write_bytes(b"mine")
        return verified_module(partial)

    with pytest.raises(ConfigurationError, match="is in the way"):
        download(repository, "the thing", output_dir=path.parent, verify=verify)
    assert path.read_bytes() == b"mine"


def test_a_download_replaces_an_earlier_one(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    path = tmp_path / "out" / "com.acme.thing-1.0.0.modl"
    path.parent.mkdir()
    for earlier in (build_module(tmp_path / "earlier.modl").read_bytes(), b"signed module"):
        path.write_bytes(earlier)
        download(repository, "the thing", output_dir=path.parent, verify=verified_module)
        assert path.read_bytes() == b"signed module"


def test_an_output_folder_that_is_a_file_is_explained(
    module: VerifiedModule, repository: Repository, tmp_path: Path
) -> None:
    upload(module, repository, published_at=PUBLISHED_AT)
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"Not a directory|File exists"):
        download(repository, "the thing", output_dir=tmp_path / "out", verify=verified_module)
