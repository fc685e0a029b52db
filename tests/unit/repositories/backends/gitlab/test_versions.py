"""Published versions, where several files may have one name and packages may be another's."""

from __future__ import annotations

import hashlib
import io
import random
from pathlib import Path

import pytest

from ign_deploy.errors import (
    NotInRepository,
    RepositoryError,
    VerificationError,
    VersionConflict,
)
from ign_deploy.repositories.record import FileRole, Release
from ign_deploy.repositories.status_events import StatusEvent, StatusKind, add_status_event
from ign_deploy.repositories.store import Indexed, Key
from tests.support.gitlab_packages import DEVELOPER, World, gitlab_world
from tests.support.serving import Fault
from tests.unit.repositories.backends.gitlab.opening import KEY, fetched, publish, repository, store


def test_a_newer_file_of_the_name_does_not_hide_the_published_one(
    opened: World, tmp_path: Path
) -> None:
    publish(opened, tmp_path, b"module")
    for name in ("release.json", "com.acme.thing-1.0.0.modl"):
        opened.server.registry.upload(opened.project, KEY, name, b"{}")
    assert fetched(opened) == b"module"
    with pytest.raises(VersionConflict):
        publish(opened, tmp_path, b"other")


def test_before_18_4_a_hidden_file_is_reported(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    opened.server.switches.download_by_number = False
    assert fetched(opened) == b"module"
    opened.server.registry.upload(opened.project, KEY, "com.acme.thing-1.0.0.modl", b"x")
    with pytest.raises(RepositoryError, match="hidden by a newer file") as caught:
        fetched(opened)
    assert "18.4" in caught.value.hint


def test_before_18_4_a_second_copy_of_the_same_bytes_hides_nothing(
    opened: World, tmp_path: Path
) -> None:
    publish(opened, tmp_path, b"module")
    opened.server.switches.download_by_number = False
    opened.server.registry.upload(opened.project, KEY, "com.acme.thing-1.0.0.modl", b"module")
    assert fetched(opened) == b"module"


def test_a_second_package_of_the_name_and_version_is_looked_at_too(
    opened: World, tmp_path: Path
) -> None:
    publish(opened, tmp_path, b"module")
    registry = opened.server.registry
    registry.switches.unique_index = False
    registry.packages[0].committed = False  # for a moment nobody sees it
    registry.upload(opened.project, KEY, "release.json", b"{}")
    registry.packages[0].committed = True
    assert fetched(opened) == b"module"
    with pytest.raises(VersionConflict):
        publish(opened, tmp_path, b"other")


def test_a_file_that_is_another_is_rejected(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    replace(opened, ".modl", b"MODULE")
    with pytest.raises(VerificationError):
        fetched(opened)


def replace(opened: World, ending: str, data: bytes) -> None:
    for _, _, file in opened.server.registry.content(opened.project.path):
        if file.name.endswith(ending):
            file.data = data
            file.sha256 = hashlib.sha256(data).hexdigest()


def test_a_download_goes_on_where_it_broke(opened: World, tmp_path: Path) -> None:
    content = random.Random(2).randbytes(400_000)
    publish(opened, tmp_path, content)
    opened.server.faults.append(Fault(r"GET .*\.modl$", "cut", cut=200_000))
    assert fetched(opened) == content
    ranges = [each.headers.get("Range") for each in opened.server.matching(r"GET .*\.modl$")]
    assert ranges[0] is None
    assert (ranges[1] or "").startswith("bytes=")


def test_a_redirected_download_takes_no_token_along(tmp_path: Path) -> None:
    with gitlab_world(redirect_downloads=True) as opened:
        publish(opened, tmp_path, b"module")
        assert fetched(opened) == b"module"
        assert opened.server.storage.requests
        assert opened.server.storage.leaks == []


def test_all_pages_of_a_list_are_read(tmp_path: Path) -> None:
    for header in (True, False):
        with gitlab_world(next_page_header=header) as opened:
            for number in range(230):
                opened.server.registry.upload(
                    opened.project, ("com.acme.thing", f"1.{number}"), "release.json", b"{}"
                )
            found = set(store(opened).versions.versions("com.acme.thing"))
            assert found == {Key("com.acme.thing", f"1.{number}") for number in range(230)}


@pytest.mark.parametrize("page_size", [100, 30])
def test_what_gitlab_lists_by_keyset_only_is_read_whole(page_size: int) -> None:
    """As beyond 50,000 packages; then no header but Link says where the next page is."""
    with gitlab_world(keyset=True, largest_offset=100, page_size=page_size) as opened:
        for number in range(330):
            opened.server.registry.upload(
                opened.project, ("com.acme.thing", f"1.{number}"), "release.json", b"{}"
            )
        found = list(store(opened).versions.versions("com.acme.thing"))
        assert sorted(found) == sorted(
            Key("com.acme.thing", f"1.{number}") for number in range(330)
        )


def test_a_similar_name_is_another_module(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"long", module_id="com.acme.thing2")
    opened.server.switches.version_filter = False
    publish(opened, tmp_path, b"module")
    publish(opened, tmp_path, b"older", version="0.9")
    assert set(store(opened).versions.versions("com.acme.thing")) == {
        KEY,
        Key("com.acme.thing", "0.9"),
    }
    assert fetched(opened) == b"module"


def test_untrusted_packages_are_passed_over(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    opened.server.registry.upload(opened.project, ("..", "1.0"), "release.json", b"{}")
    opened.server.registry.upload(opened.project, ("tool", "1.0"), "tool.bin", b"{}")
    done = repository(opened).maintenance.reindex()
    assert (done.modules, done.versions) == (1, 1)


def test_discarded_files_are_gone_and_the_record_stays(opened: World, tmp_path: Path) -> None:
    done = publish(opened, tmp_path, b"module")
    maintenance = repository(opened).maintenance
    maintenance.discard(done.release)
    maintenance.discard(done.release)
    with pytest.raises(NotInRepository):
        fetched(opened)
    assert repository(opened).fetch("com.acme.thing", version="1.0.0").id == "com.acme.thing"


def test_discarding_needs_a_maintainer(tmp_path: Path) -> None:
    with gitlab_world(role=DEVELOPER) as opened:
        done = publish(opened, tmp_path, b"module")
        with pytest.raises(RepositoryError) as caught:
            repository(opened).maintenance.discard(done.release)
        assert "Maintainer" in caught.value.hint
        assert fetched(opened) == b"module"


def test_a_yanked_version_shows_in_the_index(opened: World, tmp_path: Path) -> None:
    done = publish(opened, tmp_path, b"module")
    maintenance = repository(opened).maintenance
    add_status_event(maintenance.documents, yanked(done.release))
    maintenance.refresh("com.acme.thing")
    (row,) = repository(opened).catalogue("com.acme.thing")
    assert row.yanked == "broken"


def test_a_yank_beside_an_overlapping_write_is_noticed(opened: World, tmp_path: Path) -> None:
    done = publish(opened, tmp_path, b"module")
    add_status_event(repository(opened).maintenance.documents, yanked(done.release))
    current = store(opened)
    with current.guard.session([KEY]) as session:
        requests = len(opened.server.requests)
        assert session.others({}) == ()
        assert len(opened.server.requests) == requests
        for events, noticed in [(0, [KEY.id]), (1, [])]:
            # Another file is there already.
            current.documents.write("index.json", b"%d" % events, replaces=None)
            assert session.others({KEY.id: Indexed(1, KEY.version, events)}) == noticed


def yanked(release: Release) -> StatusEvent:
    return StatusEvent(
        kind=StatusKind.YANKED,
        id=release.id,
        version=release.version,
        sha256=release.module_file.sha256,
        reason="broken",
        at="2026-02-01T00:00:00Z",
    )


def test_a_role_that_was_not_published_is_reported(opened: World, tmp_path: Path) -> None:
    publish(opened, tmp_path, b"module")
    with pytest.raises(NotInRepository):
        repository(opened).fetch(
            "com.acme.thing", version="1.0.0", to=io.BytesIO(), role=FileRole.SBOM
        )
