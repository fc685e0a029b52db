"""Pinning the Dockerfile's images, with a real registry in place of their own."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ign_deploy.errors import RepositoryError
from tests.support.servers import RegistryServer, registry
from tests.support.serving import Reply, scripted_server
from tools.pin_images import main, newest_digest, pin, split_image, unpinned_images

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
DIGEST = f"sha256:{'a' * 64}"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RegistryServer]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder) as running:
        yield running


def put(server: RegistryServer, name: str, tag: str, *, kind: str, document: Any) -> str:
    """Publish a manifest; return its digest."""
    data = json.dumps(document).encode()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    url = f"{server.url}/v2/{name}/manifests/{tag or digest}"
    requests.put(url, data=data, headers={"Content-Type": kind}, timeout=30).raise_for_status()
    return digest


def publish(server: RegistryServer, name: str, tag: str, *architectures: str) -> str:
    """Publish an image for these architectures; return its digest."""
    begun = requests.post(f"{server.url}/v2/{name}/blobs/uploads/", timeout=30)
    digest = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    done = requests.put(
        begun.headers["Location"], params={"digest": digest}, data=b"{}", timeout=30
    )
    done.raise_for_status()
    blob = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}
    manifests = []
    for each in architectures:
        document = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": blob,
            "layers": [],
            "annotations": {"for": f"{each} {tag}"},
        }
        manifests.append(
            {
                "mediaType": MANIFEST,
                "digest": put(server, name, "", kind=MANIFEST, document=document),
                "size": len(json.dumps(document)),
                "platform": {"os": "linux", "architecture": each},
            }
        )
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    return put(server, name, tag, kind=INDEX, document=index)


@pytest.mark.parametrize(
    ("line", "image"),
    [
        ("FROM  evil:1", "evil:1"),
        ("FROM\tevil:1 AS x", "evil:1"),
        ("  from evil:1", "evil:1"),
        ("FROM \\\n  evil:1", "evil:1"),
        ("FROM --platform=$BUILDPLATFORM  evil:1 AS y", "evil:1"),
        ("COPY --chown=1:1 --from=evil:1 /a /b", "evil:1"),
        ("RUN --mount=type=bind,from=evil:1,target=/x true", "evil:1"),
        ("RUN --mount=type=bind,\\\n", ""),
        ("ARG OTHER=evil:1\nFROM ${OTHER}", "${OTHER}"),
        ("FROM ${BASE:-evil:1}", "${BASE:-evil:1}"),
    ],
)
def test_an_image_is_found_however_it_is_written(line: str, image: str) -> None:
    pinned = pin(TEXT, resolve=lambda _: DIGEST)
    assert unpinned_images(f"{pinned}\n{line}\n") == ([image] if image else [])


def test_a_registry_s_nonsense_is_no_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with scripted_server(Reply(200, body=b'{"manifests": 5}')) as server:
        host = server.url.partition("//")[2]
        with pytest.raises(RepositoryError, match="is not an image for"):
            newest_digest("python:3", registry=host)


def test_the_dockerfile_is_pinned_from_a_registry_and_follows_it(
    server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text(TEXT)
    host = server.url.partition("//")[2]
    syntax = publish(server, "docker/dockerfile", "1", "amd64", "arm64")
    for architectures in (("amd64", "arm64"), ("amd64", "arm64", "riscv64")):
        base = publish(server, "library/python", "3.11-slim-bookworm", *architectures)
        assert main(["--registry", host]) == 0
        text = (tmp_path / "Dockerfile").read_text()
        assert f"# syntax=docker/dockerfile:1@{syntax}\n" in text
        assert f"\nARG BASE=python:3.11-slim-bookworm@{base}\n" in text
        assert main(["--check"]) == 0
    assert pin(text, resolve=lambda _: DIGEST) == pin(TEXT, resolve=lambda _: DIGEST)


def test_an_image_for_one_platform_only_is_refused(server: RegistryServer) -> None:
    publish(server, "library/python", "3", "amd64")
    host = server.url.partition("//")[2]
    with pytest.raises(RepositoryError, match="is not an image for linux/amd64 and linux/arm64"):
        newest_digest("python:3", registry=host)
    with pytest.raises(RepositoryError, match="404"):
        newest_digest("python:4", registry=host)


def test_nothing_is_written_unless_all_can_be_pinned(
    server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text(TEXT)
    publish(server, "library/python", "3.11-slim-bookworm", "amd64", "arm64")
    with pytest.raises(RepositoryError):
        main(["--registry", server.url.partition("//")[2]])
    assert (tmp_path / "Dockerfile").read_text() == TEXT


@pytest.mark.parametrize(
    "line",
    [
        "FROM alpine",
        "FROM --platform=linux/amd64 alpine:3 AS tools",
        "FROM alpine@sha256:abc",
        "from alpine as tools",
    ],
)
def test_every_image_that_is_not_pinned_is_found(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = pin(TEXT, resolve=lambda _: DIGEST)
    assert unpinned_images(pinned) == []
    assert unpinned_images(f"{pinned}\n{line}\n") == ["alpine:3" if ":3" in line else "alpine"]
    for missing in ("# syntax=", "ARG BASE="):
        rest = "".join(each for each in pinned.splitlines(True) if not each.startswith(missing))
        assert unpinned_images(rest) == [f"the line beginning with {missing!r}"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Dockerfile").write_text(f"{pinned}\n{line}\n")
    assert main(["--check"]) == 1


def test_the_check_needs_no_packages(tmp_path: Path) -> None:
    """The release workflow runs it with the runner's own Python."""
    (tmp_path / "Dockerfile").write_text(pin(TEXT, resolve=lambda _: DIGEST))
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.argv = ['', '--check']; "
        "from tools.pin_images import _run; sys.exit(_run())"
    )
    command = [sys.executable, "-I", "-S", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_release_checks_before_anything_is_built() -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    check, _, _ = workflow.partition("\n  ci:\n")
    assert "run: python3 -m tools.pin_images --check\n" in check


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("python:3.11", ("docker.io", "library/python", "3.11")),
        ("docker/dockerfile:1", ("docker.io", "docker/dockerfile", "1")),
        ("python", ("docker.io", "library/python", "latest")),
        ("localhost:5000/a/b:c", ("localhost:5000", "a/b", "c")),
        ("mirror.example/python", ("mirror.example", "python", "latest")),
    ],
)
def test_references_are_split_as_docker_does(image: str, parts: tuple[str, str, str]) -> None:
    assert split_image(image) == parts
