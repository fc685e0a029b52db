from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.errors import RepositoryError, VersionConflict
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.github import drafts
from ign_deploy.repositories.claims import Claim
from ign_deploy.repositories.store import Key
from tests.support.github.server import JOB, WRITER, GitHub, github_simulator
from tests.support.github.state import SimulatedRelease
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.serving import Fault
from tests.support.stores import claims_of
from tests.unit.repositories.backends.github.opening import content_of, opened, store_of


@pytest.fixture
def simulator() -> Iterator[GitHub]:
    with github_simulator() as running:
        yield running


def releases(simulator: GitHub) -> list[SimulatedRelease]:
    return list(simulator.repository.releases.values())


def test_a_version_is_one_release_with_its_record(simulator: GitHub, tmp_path: Path) -> None:
    release, files = release_of(tmp_path, content=b"bytes" * 1000, notes="Größe")
    publication = opened(simulator, token=JOB).publish(release, files=files)
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert publication.location == (
        f"{simulator.url}/acme/modules/releases/tag/modl/com.acme.thing/1.0.0"
    )
    (made,) = releases(simulator)
    assert (made.tag, made.name) == ("modl/com.acme.thing/1.0.0", "The Thing 1.0.0")
    assert [asset.name for asset in made.assets] == [release.files[0].name, "release.json"]
    assert not made.draft
    assert content_of(opened(simulator), release.id, "1.0.0") == b"bytes" * 1000


@pytest.mark.parametrize(("version", "prerelease"), [("1.0.0", False), ("2.0.0-rc1", True)])
def test_no_module_takes_the_project_s_latest(
    simulator: GitHub, tmp_path: Path, version: str, prerelease: bool
) -> None:
    release, files = release_of(tmp_path, version=version)
    opened(simulator).publish(release, files=files)
    (made,) = releases(simulator)
    assert (made.make_latest, made.prerelease) == ("false", prerelease)


def test_the_commit_is_tagged_if_it_is_in_the_repository(simulator: GitHub, tmp_path: Path) -> None:
    repository = simulator.repository
    old = repository.refs["refs/heads/main"]
    repository.refs["refs/heads/main"] = repository.add_commit({}, (old,), "newer")
    for version, commit in (("1.0.0", old), ("1.1.0", "f" * 40), ("1.2.0", "not a commit")):
        release, files = release_of(tmp_path, version=version, commit=commit)
        opened(simulator).publish(release, files=files)
    tagged = [repository.refs[f"refs/tags/modl/com.acme.thing/1.{n}.0"] for n in range(3)]
    newest = repository.refs["refs/heads/main"]
    assert tagged == [old, newest, newest]


def test_a_job_of_another_repository_tags_no_commit(simulator: GitHub, tmp_path: Path) -> None:
    release, files = release_of(tmp_path, commit="f" * 40)
    for name, requests in (("acme/Modules", 2), ("acme/source", 1)):
        simulator.repository.releases.clear()
        simulator.repository.refs = {
            "refs/heads/main": simulator.repository.refs["refs/heads/main"]
        }
        simulator.requests.clear()
        opened(simulator, env={"GITHUB_REPOSITORY": name}).publish(release, files=files)
        assert len(simulator.matching("PATCH ")) == requests


def test_a_commit_whose_workflows_differ_is_not_tagged_which_is_said(
    simulator: GitHub, tmp_path: Path
) -> None:
    """GitHub lets no job's token tag such a commit, unless something points at it already."""
    repository = simulator.repository
    repository.workflows = False
    main = repository.refs["refs/heads/main"]
    changed = repository.add_commit({".github/workflows/ci.yml": b"on: push"}, (main,), "ci")
    said = Recorder()
    release, files = release_of(tmp_path, commit=changed)
    opened(simulator, reporter=said).publish(release, files=files)
    assert repository.refs["refs/tags/modl/com.acme.thing/1.0.0"] == main
    (warning,) = said.warnings
    assert f"not to the commit {changed[:12]}: its workflows differ" in warning
    repository.refs["refs/tags/v2"] = changed
    release, files = release_of(tmp_path, version="2.0.0", commit=changed)
    opened(simulator, reporter=said).publish(release, files=files)
    assert repository.refs["refs/tags/modl/com.acme.thing/2.0.0"] == changed
    assert len(said.warnings) == 1


def test_releases_of_the_project_itself_are_left_alone(simulator: GitHub, tmp_path: Path) -> None:
    for tag in ("v1.2.0", "mcp-v1.2.0", "mcp/v1.2.0", "modl/odd"):
        simulator.repository.create_release({"tag_name": tag})
    repository = opened(simulator)
    assert repository.catalogue() == ()
    release, files = release_of(tmp_path)
    repository.publish(release, files=files)
    found = repository.maintenance.reindex()
    assert (found.modules, found.versions) == (1, 1)
    assert len(releases(simulator)) == 5


def test_a_tag_of_ours_with_a_untrusted_release_is_explained(
    simulator: GitHub, tmp_path: Path
) -> None:
    simulator.repository.create_release({"tag_name": "modl/com.acme.thing/1.0.0"})
    release, files = release_of(tmp_path)
    with pytest.raises(RepositoryError, match=r"without release\.json") as caught:
        opened(simulator).publish(release, files=files)
    assert "delete that release" in caught.value.hint


@pytest.mark.parametrize("kind", ["lost", "broken", "answer", "after"])
@pytest.mark.parametrize(
    "pattern",
    [r"POST .*/releases$", r"POST .*/assets$", r"PATCH ", r"PUT .*/claims/", r"PUT .*/index.json",
     r"POST .*/git/refs", r"POST .*/git/trees", r"POST /graphql"],
)  # fmt: skip
def test_a_request_that_fails_once_publishes_exactly_once(
    simulator: GitHub, tmp_path: Path, pattern: str, kind: str
) -> None:
    simulator.faults = [Fault(pattern, kind=kind)]
    release, files = release_of(tmp_path, content=b"bytes")
    said = Recorder()
    publication = opened(simulator, reporter=said).publish(release, files=files)
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert simulator.faults[0].times == 0, "nothing failed"
    assert content_of(opened(simulator), release.id, "1.0.0") == b"bytes"
    assert [(made.draft, len(made.assets)) for made in releases(simulator)] == [(False, 2)]
    assert not [line for line in said.messages if "index isn't up to date" in line]


def test_half_a_file_after_a_502_is_deleted_and_sent_again(
    simulator: GitHub, tmp_path: Path
) -> None:
    simulator.faults = [Fault(r"POST .*/assets$", kind="starter"),
                        Fault(r"POST .*/assets$", kind="starter", skip=1)]  # fmt: skip
    release, files = release_of(tmp_path, content=b"0123456789" * 100)
    opened(simulator).publish(release, files=files)
    (made,) = releases(simulator)
    assert [asset.state for asset in made.assets] == ["uploaded", "uploaded"]
    assert len([line for line in simulator.seen if line.startswith("DELETE")]) == 2
    assert content_of(opened(simulator), release.id, "1.0.0") == b"0123456789" * 100


@pytest.mark.parametrize("kind", ["starter", "lost"])
def test_what_a_failed_upload_left_and_a_stale_listing_hid_is_found_at_the_next_attempt(
    simulator: GitHub, tmp_path: Path, kind: str
) -> None:
    simulator.faults = [
        Fault(r"POST .*/assets$", kind=kind),
        Fault(r"GET .*/releases/\d+/assets", status=200, document=[]),
    ]
    release, files = release_of(tmp_path, content=b"0123456789")
    done = 0

    def count(advance: int) -> None:
        nonlocal done
        done += advance

    opened(simulator).publish(release, files=files, progress=count)
    assert [fault.times for fault in simulator.faults] == [0, 0]
    assert done == 10
    assert content_of(opened(simulator), release.id, "1.0.0") == b"0123456789"


@pytest.mark.parametrize("digests", [True, False])
def test_a_release_that_shows_only_later_is_waited_for(tmp_path: Path, digests: bool) -> None:
    with github_simulator(lag=0.4, digests=digests) as simulator:
        release, files = release_of(tmp_path)
        assert opened(simulator).publish(release, files=files).outcome is PublishOutcome.PUBLISHED


def test_immutable_releases_get_everything_before_they_are_published(tmp_path: Path) -> None:
    with github_simulator(immutable=True) as simulator:
        release, files = release_of(tmp_path, content=b"one")
        repository = opened(simulator)
        repository.publish(release, files=files)
        assert content_of(repository, release.id, "1.0.0") == b"one"
        with pytest.raises(RepositoryError, match="immutable"):
            repository.maintenance.discard(release)
        assert content_of(repository, release.id, "1.0.0") == b"one"


def test_a_tag_that_an_immutable_release_used_is_explained(tmp_path: Path) -> None:
    with github_simulator(immutable=True) as simulator:
        release, files = release_of(tmp_path)
        opened(simulator).publish(release, files=files)
        (made,) = releases(simulator)
        simulator.repository.delete_release(made.id)
        with pytest.raises(RepositoryError, match="used by an immutable release") as caught:
            opened(simulator).publish(release, files=files)
        assert "raise the module's version" in caught.value.hint


def test_an_immutable_release_that_doesn_t_say_so_is_noticed_when_files_are_deleted(
    simulator: GitHub, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path)
    repository = opened(simulator)
    repository.publish(release, files=files)
    refused = {"message": "Cannot delete assets from an immutable release."}
    simulator.faults = [Fault("DELETE ", status=422, document=refused)]
    with pytest.raises(RepositoryError, match="GitHub keeps its files"):
        repository.maintenance.discard(release)


def test_rules_that_protect_the_tags_are_explained(simulator: GitHub, tmp_path: Path) -> None:
    errors = [{"resource": "Release", "code": "custom", "field": "pre_receive",
               "message": "Repository rule violations found\n\nCannot create ref"}]  # fmt: skip
    document = {"message": "Validation Failed", "errors": errors}
    simulator.faults = [Fault("PATCH", status=422, document=document)]
    release, files = release_of(tmp_path)
    with pytest.raises(RepositoryError, match="Cannot create ref") as caught:
        opened(simulator).publish(release, files=files)
    assert caught.value.message.endswith("a rule of the repository protects the tags modl/**")
    assert "exempt the tags modl/**" in caught.value.hint
    assert releases(simulator) == []


def test_a_server_that_states_no_digests_is_compared_by_size(tmp_path: Path) -> None:
    with github_simulator(digests=False) as simulator:
        release, files = release_of(tmp_path, content=b"one")
        opened(simulator).publish(release, files=files)
        assert content_of(opened(simulator), release.id, "1.0.0") == b"one"


def test_the_draft_of_a_file_that_changed_is_deleted(simulator: GitHub, tmp_path: Path) -> None:
    release, files = release_of(tmp_path, content=b"one")
    next(iter(files.values())).write_bytes(b"two")
    with pytest.raises(RepositoryError, match="changed while it was being"):
        opened(simulator).publish(release, files=files)
    assert releases(simulator) == []


def test_the_draft_of_a_version_that_another_run_published_is_deleted(
    simulator: GitHub, tmp_path: Path
) -> None:
    """A run that was stopped wakes up: its claim is over, and a successor has published."""
    late, late_files = release_of(tmp_path, content=b"late")
    key = Key(late.id, late.version)
    stopped = store_of(simulator)
    assert claims_of(stopped).claim(key, Claim("h" * 32, 0, claims_of(stopped).now(), late))
    claims_of(stopped).put_files(key, late, files=late_files, progress=lambda _: None)
    # The successor's way is shortened: only the claim would have kept it waiting.
    other, other_files = release_of(tmp_path, content=b"successor")
    successor = store_of(simulator)
    assert claims_of(successor).claim(key, Claim("i" * 32, 1, claims_of(successor).now(), other))
    claims_of(successor).put_files(key, other, files=other_files, progress=lambda _: None)
    claims_of(successor).put_record(key, Claim("i" * 32, 1), other.to_json())
    claims_of(stopped).put_record(key, Claim("h" * 32, 0), late.to_json())
    assert [made.draft for made in releases(simulator)] == [False]
    assert stopped.versions.read_record(key) == other.to_json()
    with pytest.raises(VersionConflict):
        opened(simulator).publish(late, files=late_files)


def test_a_draft_is_deleted_when_the_version_is_seen_to_be_published(
    simulator: GitHub, tmp_path: Path
) -> None:
    late, files = release_of(tmp_path, content=b"same", notes="late")
    key = Key(late.id, late.version)
    store = store_of(simulator)
    claims_of(store).put_files(key, late, files=files, progress=lambda _: None)
    other, files = release_of(tmp_path, content=b"same", notes="first")
    opened(simulator).publish(other, files=files)
    assert store.versions.read_record(key) == other.to_json()
    assert [made.draft for made in releases(simulator)] == [False]
    claims_of(store).put_record(
        key, Claim("h" * 32, 0), late.to_json()
    )  # nothing is left to be published
    assert store.versions.read_record(key) == other.to_json()


def test_a_draft_that_someone_deleted_is_no_success(simulator: GitHub, tmp_path: Path) -> None:
    release, files = release_of(tmp_path)
    key = Key(release.id, release.version)
    store = store_of(simulator)
    claims_of(store).put_files(key, release, files=files, progress=lambda _: None)
    simulator.repository.releases.clear()
    with pytest.raises(RepositoryError, match="404"):
        claims_of(store).put_record(key, Claim("h", 0), release.to_json())


def test_a_file_that_github_holds_otherwise_is_not_published(
    simulator: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = simulator.repository.add_asset

    def damaging(number: int, name: str, content: bytes, **options: str) -> object:
        return add(number, name, content[:-1] + b"!", **options)

    monkeypatch.setattr(simulator.repository, "add_asset", damaging)
    release, files = release_of(tmp_path, content=b"bytes")
    digest = hashlib.sha256(b"byte!").hexdigest()
    with pytest.raises(RepositoryError, match=digest):
        opened(simulator).publish(release, files=files)
    assert releases(simulator) == []


def test_a_file_of_2_gib_is_rejected_before_it_is_sent(
    simulator: GitHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drafts, "MAX_ASSET_SIZE", 4)
    release, files = release_of(tmp_path, content=b"bytes")
    with pytest.raises(RepositoryError, match="less than 2 GiB"):
        opened(simulator).publish(release, files=files)
    assert not [line for line in simulator.seen if line.endswith("/assets")]


def test_publishing_costs_few_requests_however_many_versions_there_are(
    simulator: GitHub, tmp_path: Path
) -> None:
    repository = open_repository(simulator.repository_url, access=Access(token=WRITER))
    costs = []
    for number in range(8):
        before = len(simulator.seen)
        release, files = release_of(tmp_path, version=f"1.{number}.0")
        repository.publish(release, files=files)
        costs.append([line.split()[0] for line in simulator.seen[before:]])
    # The claim, the draft, its two files, its publication; the indexes, read at once, and written.
    assert costs[-1] == costs[2] == ["PUT", "POST", "POST", "POST", "PATCH", "POST", "PUT", "PUT"]


def test_a_hundred_jobs_stay_below_the_thousand_requests_of_an_hour(
    simulator: GitHub, tmp_path: Path
) -> None:
    costs = []
    for number in range(3):
        before = len(simulator.seen)
        repository = opened(simulator, token=JOB)
        repository.check()
        # Each the first of a module, which needs no more.
        release, files = release_of(tmp_path, module_id=f"com.acme.m{number}")
        repository.publish(release, files=files)
        costs.append(len(simulator.seen) - before)
    assert 100 * costs[-1] < 1000
