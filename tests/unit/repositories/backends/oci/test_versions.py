"""Versions in a real registry: what others find there, and what others may have put there."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from ign_deploy.errors import (
    NotInRepository,
    RepositoryError,
    VerificationError,
    VersionConflict,
)
from ign_deploy.net.response import Response
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.backends.oci.client import RegistryClient
from ign_deploy.repositories.backends.oci.references import References, mark_tag
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.index_guard import MarkGuard
from ign_deploy.repositories.maintenance import StatusChange, remove, yank
from ign_deploy.repositories.store import Document, Key
from tests.support.http_steps import count_requests
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.servers import RegistryServer, registry
from tests.support.stores import claims_of
from tests.unit.repositories.backends.oci.opening import NAME, open_at, store_at

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ID = "com.acme.thing"
KEY = Key(ID, "1.0.0")
TAG = "com.acme.thing_v1.0.0"
Ask = Callable[..., requests.Response]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RegistryServer]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder, delete=True) as running:
        yield running


@pytest.fixture
def ask(server: RegistryServer) -> Iterator[Ask]:
    """A plain client that knows nothing of us."""
    with requests.Session() as session:
        session.trust_env = False

        def call(method: str, path: str, **options: Any) -> requests.Response:
            url = path if path.startswith("http") else f"{server.url}/v2/{NAME}/{path}"
            return session.request(method, url, timeout=30, **options)

        yield call


def publish(
    server: RegistryServer, folder: Path, *, content: bytes = b"module", version: str = "1.0.0"
) -> None:
    release, files = release_of(
        folder, content=content, version=version, description="Does things", commit="c0ffee"
    )
    open_at(server.url).publish(release, files=files)


def test_a_repository_is_there_once_something_was_pushed(
    server: RegistryServer, tmp_path: Path
) -> None:
    assert not store_at(server.url).exists()
    publish(server, tmp_path)
    with count_requests() as steps:
        assert store_at(server.url).exists()
    # The registry, and the index; not the list of all tags, which may be long.
    assert steps.methods == ["GET", "HEAD"]


def test_a_repository_without_an_index_is_there(server: RegistryServer, tmp_path: Path) -> None:
    """Its first run was killed before it wrote one, or other programs pushed to it."""
    store, (release, files) = store_at(server.url), release_of(tmp_path)
    assert claims_of(store).claim(KEY, Claim("me", 0, datetime.now(UTC), release))
    claims_of(store).put_files(KEY, release, files=files, progress=lambda _: None)
    assert store_at(server.url).exists()


def manifest_at(ask: Ask, tag: str) -> dict[str, Any]:
    answer = ask("GET", f"manifests/{tag}", headers={"Accept": MANIFEST})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def push(ask: Ask, tag: str, manifest: object) -> None:
    data = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    answer = ask("PUT", f"manifests/{tag}", data=data, headers={"Content-Type": MANIFEST})
    assert answer.status_code == 201, answer.text


def push_blob(ask: Ask, data: bytes) -> dict[str, Any]:
    location = ask("POST", "blobs/uploads/").headers["Location"]
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert ask("PUT", f"{location}&digest={digest}", data=data).status_code == 201
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(data)}


def test_a_plain_client_pulls_the_files_by_their_titles(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    publish(server, tmp_path, content=b"the module")
    manifest = manifest_at(ask, TAG)
    assert manifest["artifactType"] == "application/vnd.ign-deploy.release.v1"
    assert manifest["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    pulled = {}
    for layer in manifest["layers"]:
        data = ask("GET", f"blobs/{layer['digest']}").content
        assert hashlib.sha256(data).hexdigest() == layer["digest"].removeprefix("sha256:")
        pulled[layer["annotations"]["org.opencontainers.image.title"]] = data
    assert pulled.keys() == {"release.json", "com.acme.thing-1.0.0.modl"}
    assert pulled["com.acme.thing-1.0.0.modl"] == b"the module"
    assert json.loads(pulled["release.json"])["id"] == ID
    about = manifest["annotations"]
    assert about["org.opencontainers.image.version"] == "1.0.0"
    assert about["org.opencontainers.image.description"] == "Does things"
    assert about["org.opencontainers.image.revision"] == "c0ffee"
    assert about["vnd.ign-deploy.signer-sha1"] == "a" * 40


def test_where_manifests_can_be_deleted_no_claim_is_left(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    publish(server, tmp_path)
    tags = ask("GET", "tags/list").json()["tags"]
    ours = [TAG, "_d.index.json", "_d.modules_scom.acme.thing_sindex.json", mark_tag("indexes")]
    assert sorted(tags) == sorted(ours)


def test_a_known_blob_is_not_sent_again(server: RegistryServer, ask: Ask, tmp_path: Path) -> None:
    content = b"known already" * 1000
    push_blob(ask, content)
    release, files = release_of(tmp_path, content=content)
    (path,) = files.values()
    store = store_at(server.url)
    path.unlink()  # it could not be sent
    sent = 0

    def count(advance: int) -> None:
        nonlocal sent
        sent += advance

    claims_of(store).put_files(KEY, release, files=files, progress=count)
    assert sent == len(content)


def test_a_removed_versions_files_are_gone_and_its_record_stays(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    publish(server, tmp_path)
    record = store_at(server.url).versions.read_record(KEY)
    before = ask("HEAD", f"manifests/{TAG}", headers={"Accept": MANIFEST})
    release, _ = release_of(tmp_path)
    said = StatusChange("ann", datetime(2026, 2, 1, tzinfo=UTC), "leaked")
    remove(open_at(server.url), release, change=said)
    assert [layer["mediaType"] for layer in manifest_at(ask, TAG)["layers"]] == [
        "application/vnd.ign-deploy.release.v1+json"
    ]
    old = before.headers["Docker-Content-Digest"]
    gone = ask("GET", f"manifests/{old}", headers={"Accept": MANIFEST})
    assert gone.status_code == 404
    store = store_at(server.url)
    assert store.versions.read_record(KEY) == record
    with pytest.raises(NotInRepository):
        store.versions.copy_file(KEY, release.module_file, to=io.BytesIO(), progress=lambda _: None)


def test_untrusted_tags_are_no_versions(server: RegistryServer, ask: Ask, tmp_path: Path) -> None:
    publish(server, tmp_path)
    layer = push_blob(ask, b"{}")
    image = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layer, "layers": [layer]}
    for tag in ("latest", "1.0.0", "sha256-abc.sig", "_d.odd_x", "a_v"):
        push(ask, tag, image)
    assert list(store_at(server.url).versions.versions()) == [KEY]
    assert open_at(server.url).maintenance.reindex().versions == 1
    assert store_at(server.url).documents.names("") == ["index.json"]


def test_a_untrusted_image_under_a_versions_tag_is_never_overwritten(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    layer = push_blob(ask, b"{}")
    image = {"schemaVersion": 2, "mediaType": MANIFEST, "config": layer, "layers": [layer]}
    push(ask, TAG, image)
    with pytest.raises(RepositoryError, match="holds something else"):
        publish(server, tmp_path)
    assert manifest_at(ask, TAG) == image
    push(ask, "_d.index.json", image)
    with pytest.raises(RepositoryError, match="holds something else"):
        store_at(server.url).documents.read("index.json")


def test_a_file_that_was_exchanged_in_the_manifest_is_not_handed_over(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    publish(server, tmp_path)
    manifest = manifest_at(ask, TAG)
    other = push_blob(ask, b"malign")
    manifest["layers"][1] |= {"digest": other["digest"], "size": other["size"]}
    push(ask, TAG, manifest)
    with pytest.raises(VerificationError, match="another digest"):
        open_at(server.url).fetch(ID, version="1.0.0", to=io.BytesIO())
    manifest["layers"].append(manifest["layers"][1])  # twice the same title
    push(ask, TAG, manifest)
    with pytest.raises(VerificationError, match="another digest"):
        open_at(server.url).fetch(ID, version="1.0.0", to=io.BytesIO())


def test_a_record_that_was_exchanged_is_not_believed(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    publish(server, tmp_path)
    manifest = manifest_at(ask, TAG)
    push(ask, "com.acme.other_v1.0.0", manifest)
    with pytest.raises(RepositoryError, match="is that of"):
        open_at(server.url).fetch("com.acme.other", version="1.0.0")


def test_documents_with_long_or_odd_paths_are_kept(server: RegistryServer) -> None:
    store = store_at(server.url)
    names = ["a.json", "ü €.json", "x" * 300, "y" * 120, "_", "a_s.json"]
    for name in names:
        store.documents.add(f"ledger/{name}", name.encode())
        store.documents.add(f"other/{name}", b"other")
    assert sorted(store.documents.names("ledger")) == sorted(names)
    assert store.documents.names("ledge") == []
    for name in names:
        found = store.documents.read(f"ledger/{name}")
        assert found is not None
        assert found.data == name.encode()


def overwrite_the_index(server: RegistryServer, stale: Document) -> None:
    """Write what a run had read, which is killed before it looks for others."""
    guard = store_at(server.url).guard
    assert isinstance(guard, MarkGuard)
    guard.marks.write("indexes", "of a run that was killed")
    store_at(server.url).documents.write("index.json", stale.data, replaces=stale)


def test_a_publication_without_others_lists_no_tags(
    server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, tmp_path, version="1.0.0")

    def tags(_: References) -> Iterator[str]:
        pytest.fail("the list grows with what is published")

    with monkeypatch.context() as without:
        without.setattr(References, "tags", tags)
        publish(server, tmp_path, version="1.1.0")
    assert open_at(server.url).catalogue()[0].versions == 2


def test_a_first_claim_leaves_it_to_the_publisher_to_look_for_the_version(
    server: RegistryServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    find = References.find

    def noted(references: References, tag: str, *, title: str) -> Any:
        looked.append(tag)
        return find(references, tag, title=title)

    monkeypatch.setattr(References, "find", noted)
    claims, (release, _) = claims_of(store_at(server.url)), release_of(tmp_path)
    for generation, times in ((0, 0), (1, 1)):
        looked.clear()
        claim = Claim(f"run {generation}", generation, datetime.now(UTC), release)
        assert claims.claim(KEY, claim)
        assert looked.count(TAG) == times


def test_a_record_and_an_index_are_one_request_each(server: RegistryServer, tmp_path: Path) -> None:
    publish(server, tmp_path)
    store = store_at(server.url)
    assert store.exists()  # logs in
    with count_requests() as steps:
        assert store.versions.read_record(KEY)
        assert store.documents.read("index.json")
    assert steps.count == 2


def test_a_record_in_a_manifest_that_has_another_digest_is_not_believed(
    server: RegistryServer, ask: Ask, tmp_path: Path
) -> None:
    publish(server, tmp_path)
    record = store_at(server.url).versions.read_record(KEY)
    manifest = manifest_at(ask, TAG)
    manifest["layers"][0]["data"] = base64.b64encode(b"{}").decode()
    sent = ask("PUT", f"manifests/{TAG}", json=manifest, headers={"Content-Type": MANIFEST})
    assert sent.ok
    assert store_at(server.url).versions.read_record(KEY) == record


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the requests for the list of all tags that are made from now on."""
    found: list[str] = []
    original = RegistryClient.request

    def request(client: RegistryClient, method: str, path: str = "", **options: Any) -> Response:
        if "/tags/list" in path:
            found.append(path)
        return original(client, method, path, **options)

    monkeypatch.setattr(RegistryClient, "request", request)
    return found


def test_a_reindex_lists_the_tags_once_and_reads_each_record_once(
    server: RegistryServer, tmp_path: Path, lists: list[str]
) -> None:
    ids = ("com.acme.a", "com.acme.b", "com.acme.c")
    for module_id in ids:
        for number in range(8):
            release, files = release_of(tmp_path, module_id=module_id, version=f"1.{number}.0")
            open_at(server.url).publish(release, files=files)
    lists.clear()
    with count_requests() as steps:
        assert open_at(server.url).maintenance.reindex().versions == 24
    assert len(lists) == 1
    assert steps.count <= 24 + 6 * len(ids)


def test_a_new_module_and_a_version_that_is_there_list_no_tags(
    server: RegistryServer, tmp_path: Path, lists: list[str]
) -> None:
    publish(server, tmp_path)  # the first of all finds out that there is no index
    lists.clear()
    release, files = release_of(tmp_path, module_id="com.acme.new")
    for expected in (PublishOutcome.PUBLISHED, PublishOutcome.ALREADY_PUBLISHED):
        assert open_at(server.url).publish(release, files=files).outcome is expected
    assert lists == []
    assert [entry.id for entry in open_at(server.url).catalogue()] == ["com.acme.new", ID]


def test_a_removed_version_that_is_published_again_is_refused(
    server: RegistryServer, tmp_path: Path
) -> None:
    """It isn't in the index, so its status is looked for."""
    publish(server, tmp_path, version="1.1.0")
    release, files = release_of(tmp_path)
    open_at(server.url).publish(release, files=files)
    remove(open_at(server.url), release, change=StatusChange("me", datetime.now(UTC)))
    with pytest.raises(VersionConflict, match="was removed"):
        open_at(server.url).publish(release, files=files)


@pytest.mark.parametrize("content", [None, b"damaged"], ids=["lost", "damaged"])
def test_an_index_that_is_gone_is_rebuilt_by_the_next_version(
    server: RegistryServer, ask: Ask, tmp_path: Path, content: bytes | None
) -> None:
    publish(server, tmp_path, version="1.0.0")
    documents = store_at(server.url).documents
    if content is None:
        tag = "_d.modules_scom.acme.thing_sindex.json"
        digest = ask("HEAD", f"manifests/{tag}", headers={"Accept": MANIFEST}).headers
        assert ask("DELETE", f"manifests/{digest['Docker-Content-Digest']}").ok
    else:
        # Even if the list of modules lacks it: what is damaged isn't new.
        documents.write("index.json", b'{"meta":{"api-version":"1.0"},"modules":[]}', replaces=None)
        documents.write(f"modules/{ID}/index.json", content, replaces=None)
    publish(server, tmp_path, version="1.1.0")
    assert [each.version for each in open_at(server.url).catalogue(ID)] == ["1.1.0", "1.0.0"]


def test_a_version_that_another_run_overwrote_in_the_index_is_written_again(
    server: RegistryServer, tmp_path: Path
) -> None:
    """The other run has read the index before ours, and writes it after ours."""
    publish(server, tmp_path, version="1.0.0")
    stale = store_at(server.url).documents.read("index.json")
    assert stale is not None
    publish(server, tmp_path, version="1.1.0")
    overwrite_the_index(server, stale)
    publish(server, tmp_path, version="1.2.0")
    assert open_at(server.url).catalogue()[0].versions == 3


@pytest.mark.parametrize("module_id", [ID, f"com.acme.{'x' * 60}"], ids=["short", "hashed"])
def test_a_yank_that_another_run_overwrote_in_the_index_is_written_again(
    server: RegistryServer, tmp_path: Path, module_id: str
) -> None:
    release, files = release_of(tmp_path, module_id=module_id)
    opened = open_at(server.url)
    opened.publish(release, files=files)
    stale = store_at(server.url).documents.read("index.json")
    assert stale is not None
    change = StatusChange(by="x", at=datetime(2026, 2, 1, tzinfo=UTC), reason="bad")
    yank(opened, release, change=change)
    overwrite_the_index(server, stale)
    other, files = release_of(tmp_path, module_id="com.acme.other")
    with count_requests() as first:
        opened.publish(other, files=files)
    row = next(each for each in open_at(server.url).catalogue() if each.id == module_id)
    assert row.yanked == "bad"
    last, files = release_of(tmp_path, module_id="com.acme.last")
    with count_requests() as further:
        opened.publish(last, files=files)
    # Nothing is read again once the index has the yank.
    assert further.count < first.count


def test_a_registry_that_does_not_delete_is_reported_when_removing(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    folder.mkdir()
    with registry(folder) as server:
        publish(server, tmp_path)
        release, _ = release_of(tmp_path)
        reporter = Recorder()
        open_at(server.url, reporter=reporter).maintenance.discard(release)
        assert [text for text in reporter.messages if "doesn't delete" in text]
        open_at(server.url).maintenance.discard(release)  # again is not an error
        assert store_at(server.url).versions.read_record(KEY)


def test_the_probe_leaves_no_upload_behind(server: RegistryServer, ask: Ask) -> None:
    ask("POST", "blobs/uploads/")
    found = open_at(server.url).check()
    assert found.writable
    assert found.server_digest
    assert found.resume
    assert not found.create_once
    assert "immutable-tags=true" in found.remarks[0]
    assert len(list(server.root.rglob("_uploads/*/startedat"))) == 1  # the test's own


def test_what_is_no_registry_is_named(server: RegistryServer) -> None:
    from tests.support.serving import Reply, scripted_server

    with scripted_server(Reply(404)) as other, pytest.raises(RepositoryError) as caught:
        open_at(other.url).check()
    assert "not an OCI registry" in caught.value.message
