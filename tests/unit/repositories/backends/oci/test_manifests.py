"""Manifests: ours are read back, and others are read strictly or rejected."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import RepositoryError
from ign_deploy.repositories.backends.oci.manifests import (
    MANIFEST_TYPE,
    MAX_MANIFEST_SIZE,
    RECORD_TYPE,
    RELEASE_ARTIFACT,
    digest_of,
    parse_manifest,
    release_manifest,
)
from ign_deploy.repositories.record import ReleaseFile
from tests.support.releases import release_of
from tests.support.serving import Reply, scripted_server
from tests.unit.repositories.backends.oci.opening import store_at

LAYER: dict[str, Any] = {"mediaType": "a/b", "digest": digest_of(b""), "size": 0}
SOUND: dict[str, Any] = {"schemaVersion": 2, "layers": [LAYER], "x": {"newer": 1}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def test_our_manifest_is_read_back(tmp_path: Path) -> None:
    release, _ = release_of(tmp_path, description="long " * 1000)
    files = tuple(
        ReleaseFile(name=f"f.{role}", sha256="0" * 64, size=7, role=role)
        for role in ("bundle", "sbom", "provenance", "of-the-future")
    )
    release = release.model_copy(update={"files": (*release.files, *files)})
    record = release.to_json()
    manifest = parse_manifest(release_manifest(release, record), location="it")
    assert manifest.artifact_type == RELEASE_ARTIFACT
    layer = manifest.layer_of(RECORD_TYPE)
    assert layer is not None
    assert (layer.digest, layer.size) == (digest_of(record), len(record))
    assert [each.title for each in manifest.layers[1:]] == [each.name for each in release.files]
    assert max(map(len, manifest.annotations.values())) == 1000


@pytest.mark.parametrize(
    "change",
    [
        {"schemaVersion": 1},
        {"schemaVersion": "2"},
        {"mediaType": "application/vnd.oci.image.index.v1+json"},
        {"layers": None},
        {"layers": [LAYER] * 1001},
        {"layers": [{**LAYER, "digest": "sha256:../../x"}]},
        {"layers": [{**LAYER, "digest": digest_of(b"") + "\n"}]},
        {"layers": [{**LAYER, "digest": "md5:0"}]},
        {"layers": [{**LAYER, "size": -1}]},
        {"layers": [{**LAYER, "size": "0"}]},
        {"layers": [{**LAYER, "size": 2**63}]},
        {"layers": [{**LAYER, "annotations": {"a": 1}}]},
        {"annotations": []},
        {"artifactType": 1},
    ],
)
def test_an_unsound_manifest_is_rejected(change: dict[str, Any]) -> None:
    parse_manifest(json.dumps(SOUND).encode(), location="the tag x")
    with pytest.raises(RepositoryError, match="the tag x is not a valid image manifest"):
        parse_manifest(json.dumps({**SOUND, **change}).encode(), location="the tag x")


@given(JSON | st.fixed_dictionaries(dict.fromkeys(("schemaVersion", "layers"), JSON)))
def test_no_document_breaks_the_reading(document: object) -> None:
    with suppress(RepositoryError):
        parse_manifest(json.dumps(document).encode(), location="it")


@given(st.binary(max_size=100))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    with suppress(RepositoryError):
        parse_manifest(data, location="it")


def test_a_rejection_never_repeats_untrusted_values() -> None:
    with pytest.raises(RepositoryError) as caught:
        parse_manifest(b'{"schemaVersion": "s3cret"}', location="it")
    assert "s3cret" not in caught.value.message
    assert caught.value.__cause__ is None
    with pytest.raises(RepositoryError, match="not JSON"):
        parse_manifest(b"[" * 100_000, location="it")


def test_a_manifest_that_was_changed_on_the_way_is_rejected() -> None:
    body = json.dumps(SOUND).encode()
    stated = {"Docker-Content-Digest": digest_of(body), "Content-Type": MANIFEST_TYPE}
    with (
        scripted_server(Reply(200, stated, body + b" ")) as server,
        pytest.raises(RepositoryError, match="doesn't have the stated digest"),
    ):
        store_at(server.url).documents.read("index.json")


def test_an_endless_manifest_is_not_read() -> None:
    with (
        scripted_server(Reply(200, body=b" " * (MAX_MANIFEST_SIZE + 1))) as server,
        pytest.raises(RepositoryError, match="more than"),
    ):
        store_at(server.url).documents.read("index.json")
