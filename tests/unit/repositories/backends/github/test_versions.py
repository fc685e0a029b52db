from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import NotInRepository, RepositoryError, VerificationError, VersionConflict
from ign_deploy.repositories.backends.github.versions import key_of, module_prefix, tag_of
from ign_deploy.repositories.record import Release, is_safe_component
from ign_deploy.repositories.status_events import StatusEvent, StatusKind, add_status_event
from ign_deploy.repositories.store import Key
from tests.support.github.server import GitHub, github_simulator
from tests.support.github.state import require_ref
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.serving import Fault
from tests.support.stores import claims_of
from tests.unit.repositories.backends.github.opening import content_of, opened, store_of


@pytest.fixture
def simulator() -> Iterator[GitHub]:
    with github_simulator() as running:
        yield running


def published(simulator: GitHub, folder: Path, **what: str) -> Release:
    release, files = release_of(folder, content=b"0123456789" * 50_000, **what)
    opened(simulator).publish(release, files=files)
    return release


def status_event(release: Release, kind: StatusKind) -> StatusEvent:
    return StatusEvent(
        kind=kind,
        id=release.id,
        version=release.version,
        sha256=release.module_file.sha256,
        reason="it leaks",
        at="2026-02-01T00:00:00Z",
    )


def test_the_other_host_gets_no_credentials_and_a_broken_download_goes_on(
    simulator: GitHub, tmp_path: Path
) -> None:
    release = published(simulator, tmp_path)
    # The record is fetched first.
    simulator.files.faults = [Fault("GET", kind="cut", skip=1)]
    assert content_of(opened(simulator), release.id, "1.0.0") == b"0123456789" * 50_000
    assert simulator.files.faults[0].times == 0
    assert simulator.violations == []


def test_a_file_that_was_changed_is_rejected(simulator: GitHub, tmp_path: Path) -> None:
    release = published(simulator, tmp_path)
    (made,) = simulator.repository.releases.values()
    made.assets[0].content = b"x" * 500_000
    with pytest.raises(VerificationError, match="isn't what its record says"):
        content_of(opened(simulator), release.id, "1.0.0")


def test_a_draft_is_never_seen(simulator: GitHub, tmp_path: Path) -> None:
    release, files = release_of(tmp_path)
    store = store_of(simulator)
    claims_of(store).put_files(
        Key(release.id, "1.0.0"), release, files=files, progress=lambda _: None
    )
    assert opened(simulator).catalogue() == ()
    with pytest.raises(NotInRepository):
        opened(simulator).fetch(release.id, version="1.0.0")
    assert list(store.versions.versions()) == []


def test_versions_are_those_of_one_module_or_all(simulator: GitHub, tmp_path: Path) -> None:
    for module_id, version in (("a.b", "1.0.0"), ("a.b", "1.1.0+x"), ("a.bc", "1.0.0"),
                               ("A.b", "1.lock")):  # fmt: skip
        published(simulator, tmp_path, module_id=module_id, version=version)
    store = store_of(simulator)
    assert sorted(store.versions.versions("a.b")) == [Key("a.b", "1.0.0"), Key("a.b", "1.1.0+x")]
    assert set(store.versions.versions()) == {
        Key("A.b", "1.lock"), Key("a.b", "1.0.0"), Key("a.b", "1.1.0+x"), Key("a.bc", "1.0.0"),
    }  # fmt: skip
    found = opened(simulator).maintenance.reindex()
    assert (found.modules, found.versions) == (3, 4)
    assert content_of(opened(simulator), "A.b", "1.lock")


def test_a_tag_whose_release_was_deleted_is_skipped(simulator: GitHub, tmp_path: Path) -> None:
    published(simulator, tmp_path)
    published(simulator, tmp_path, version="1.1.0")
    first = min(simulator.repository.releases)
    simulator.repository.delete_release(first)
    repository = opened(simulator)
    found = repository.maintenance.reindex()
    assert (found.modules, found.versions) == (1, 1)
    assert [entry.version for entry in repository.catalogue("com.acme.thing")] == ["1.1.0"]


def test_a_release_without_a_record_is_left_out_with_a_warning(
    simulator: GitHub, tmp_path: Path
) -> None:
    published(simulator, tmp_path)
    simulator.repository.create_release({"tag_name": "modl/com.acme.thing/9.9.9"})
    said = Recorder()
    found = opened(simulator, reporter=said).maintenance.reindex()
    assert (found.modules, found.versions) == (1, 1)
    assert any("9.9.9 is skipped" in line for line in said.messages)


def test_yanking_shows_in_the_index(simulator: GitHub, tmp_path: Path) -> None:
    release = published(simulator, tmp_path)
    repository = opened(simulator)
    add_status_event(repository.maintenance.documents, status_event(release, StatusKind.YANKED))
    repository.maintenance.refresh(release.id)
    assert [entry.yanked for entry in opened(simulator).catalogue(release.id)] == ["it leaks"]
    assert content_of(opened(simulator), release.id, "1.0.0")


def test_a_removed_version_keeps_its_record_and_never_comes_back(
    simulator: GitHub, tmp_path: Path
) -> None:
    release = published(simulator, tmp_path)
    repository = opened(simulator)
    add_status_event(repository.maintenance.documents, status_event(release, StatusKind.REMOVED))
    repository.maintenance.discard(release)
    repository.maintenance.discard(release)  # what is gone is not an error
    repository.maintenance.refresh(release.id)
    (made,) = simulator.repository.releases.values()
    assert [asset.name for asset in made.assets] == ["release.json"]
    assert opened(simulator).catalogue() == ()
    with pytest.raises(NotInRepository, match="was removed on 2026-02-01"):
        content_of(opened(simulator), release.id, "1.0.0")
    again, files = release_of(tmp_path, content=b"0123456789" * 50_000)
    with pytest.raises(VersionConflict, match="was removed"):
        opened(simulator).publish(again, files=files)


def test_a_file_that_is_gone_without_a_mark_is_not_found(simulator: GitHub, tmp_path: Path) -> None:
    release = published(simulator, tmp_path)
    store = store_of(simulator)
    store.versions.discard(Key(release.id, "1.0.0"), release)
    with pytest.raises(NotInRepository, match="has no file"):
        store.versions.copy_file(
            Key(release.id, "1.0.0"), release.module_file, to=io.BytesIO(), progress=lambda _: None
        )


def test_a_record_of_another_version_is_rejected(simulator: GitHub, tmp_path: Path) -> None:
    published(simulator, tmp_path)
    other, _ = release_of(tmp_path, version="2.0.0")
    (made,) = simulator.repository.releases.values()
    made.assets[1].content = other.to_json()
    with pytest.raises(RepositoryError, match=r"is that of com\.acme\.thing 2\.0\.0"):
        opened(simulator).fetch("com.acme.thing", version="1.0.0")


def test_the_time_is_the_server_s(simulator: GitHub) -> None:
    store = store_of(simulator)
    ours = claims_of(store).now()
    store.documents.read("index.json")
    assert abs((claims_of(store).now() - ours).total_seconds()) < 30
    assert claims_of(store).now() <= claims_of(store).now()


COMPONENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,90}(\.lock)?", fullmatch=True).filter(
    is_safe_component
)


@given(COMPONENTS, COMPONENTS)
def test_every_version_has_a_valid_tag_that_leads_back_to_it(module_id: str, version: str) -> None:
    key = Key(module_id, version)
    tag = tag_of(key)
    require_ref(f"refs/tags/{tag}")
    assert key_of(tag) == key
    assert tag.startswith(module_prefix(module_id))


@given(st.text(alphabet="modl/abv1.=+-lock_", max_size=30).map(lambda text: f"modl/{text}"))
def test_a_tag_stands_for_at_most_one_version(tag: str) -> None:
    key = key_of(tag)
    assert key is None or tag_of(key) == tag


@pytest.mark.parametrize(
    "key",
    [Key("com.acme.thing", "1.2.0"), Key("a", "1.0.0-rc1+b_5"), Key("x.lock", "1.lock"),
     Key("A-", "9")],
)  # fmt: skip
def test_git_itself_takes_the_tags(key: Key) -> None:
    ref = f"refs/tags/{tag_of(key)}"
    subprocess.run(["git", "check-ref-format", ref], check=True, timeout=30)


def test_the_tag_is_pleasant_to_read() -> None:
    assert tag_of(Key("com.acme.thing", "1.2.0")) == "modl/com.acme.thing/1.2.0"


@pytest.mark.parametrize(
    "tag",
    ["v1.2.0", "mcp-v1.2.0", "mcp/v1.2.0", "modl/", "modl/a", "modl/a/b/c", "modl//1", "modl/a/",
     "modl/a=/1", "modl/a.lock/1", "modl/../1", "modl/a/release.json", "MODL/a/1", "",
     "modl/a/" + "1" * 300],
)  # fmt: skip
def test_other_tags_are_not_ours(tag: str) -> None:
    assert key_of(tag) is None


def test_what_is_too_long_for_a_tag_is_rejected() -> None:
    with pytest.raises(RepositoryError, match="characters; at most") as caught:
        tag_of(Key("a" * 150, "1" * 150))
    assert "shorten" in caught.value.hint
