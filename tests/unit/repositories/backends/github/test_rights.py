from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import NetworkError, NotInRepository, RepositoryError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from tests.support.github.server import JOB, JOB_READER, READER, WRITER, github_simulator
from tests.support.releases import release_of
from tests.support.serving import Fault
from tests.unit.repositories.backends.github.opening import content_of, opened


@pytest.mark.parametrize("token", [WRITER, JOB])
def test_write_access_is_detected_with_one_request(token: str) -> None:
    """A job's token has no push right by GitHub's word, and may write."""
    with github_simulator() as simulator:
        found = opened(simulator, token=token).check()
        assert found.writable
        assert found.obstacle == ""
        assert found.location == f"{simulator.url}/acme/modules"
        assert (found.create_once, found.compare_and_swap, found.server_digest, found.resume) == (
            True, True, True, True,
        )  # fmt: skip
        assert simulator.seen == ["POST /repos/acme/modules/git/blobs"]
        assert simulator.repository.refs.keys() == {"refs/heads/main"}


@pytest.mark.parametrize("token", [READER, JOB_READER])
def test_a_read_only_token_gets_the_missing_permission_named(token: str) -> None:
    """A reader's token has the push right of its owner, by GitHub's word, and may not write."""
    with github_simulator() as simulator:
        found = opened(simulator, token=token).check()
        assert not found.writable
        assert "permissions: contents: write" in found.obstacle
        assert "Resource not accessible by" in found.obstacle
        assert token not in found.obstacle


@pytest.mark.parametrize("token", [READER, JOB_READER])
def test_publishing_without_the_right_is_rejected(token: str, tmp_path: Path) -> None:
    with github_simulator() as simulator:
        release, files = release_of(tmp_path)
        with pytest.raises(RepositoryError, match="403") as caught:
            opened(simulator, token=token).publish(release, files=files)
        assert "contents: write" in caught.value.hint
        assert simulator.repository.releases == {}


def test_a_wrong_token_is_said_to_be_wrong(tmp_path: Path) -> None:
    with github_simulator() as simulator:
        repository = opened(simulator, token="ghp_wrong")
        release, files = release_of(tmp_path)
        for attempt in (
            repository.check,
            repository.catalogue,
            lambda: repository.publish(release, files=files),
        ):
            with pytest.raises(RepositoryError, match="wrong or expired") as caught:
                attempt()
            assert "ghp_wrong" not in f"{caught.value.message} {caught.value.hint}"


def test_public_repositories_are_read_without_a_token(tmp_path: Path) -> None:
    with github_simulator(private=False) as simulator:
        release, files = release_of(tmp_path, content=b"bytes")
        opened(simulator).publish(release, files=files)
        anonymous = opened(simulator, token="")
        assert content_of(anonymous, release.id, "1.0.0") == b"bytes"
        assert [entry.version for entry in anonymous.catalogue()] == ["1.0.0"]
        found = anonymous.check()
        assert not found.writable
        assert "REPOSITORY_API_TOKEN" in found.obstacle


def test_a_private_repository_without_a_token_isn_t_taken_for_an_empty_one() -> None:
    with github_simulator() as simulator:
        repository = opened(simulator, token="")
        for attempt in (
            repository.check,
            repository.catalogue,
            lambda: repository.fetch("com.acme.thing", version="1.0.0"),
        ):
            with pytest.raises(RepositoryError, match="can be read without a token") as caught:
                attempt()
            assert not isinstance(caught.value, NotInRepository)


def test_a_repository_that_isn_t_there_is_said_to_be_missing() -> None:
    with github_simulator() as simulator:
        access = Access(token=WRITER)
        other = open_repository(f"github://acme/other?api={simulator.url}", access=access)
        with pytest.raises(RepositoryError, match="or the token can't read it"):
            other.check()
        with pytest.raises(RepositoryError, match="or the token can't read it"):
            other.fetch("com.acme.thing", version="1.0.0")


def test_the_job_s_own_token_is_used_for_the_job_s_own_server() -> None:
    with github_simulator() as simulator:
        env = {"GITHUB_API_URL": simulator.url, "GITHUB_TOKEN": JOB}
        repository = open_repository("github://acme/modules", access=Access(env=env))
        assert repository.check().writable
        elsewhere = {"GITHUB_API_URL": "https://ghe.example/api/v3", "GITHUB_TOKEN": JOB}
        with pytest.raises(RepositoryError, match="without a token"):
            opened(simulator, token="", env=elsewhere).check()


@pytest.mark.parametrize(
    ("switches", "words"),
    [({"archived": True}, "is archived"), ({"empty": True}, "push a first commit")],
)
def test_why_a_repository_can_t_be_written_is_said(
    switches: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with github_simulator(**switches) as simulator:
        repository = opened(simulator)
        found = repository.check()
        assert not found.writable
        assert words in found.obstacle
        assert repository.catalogue() == ()
        release, files = release_of(tmp_path)
        with pytest.raises(RepositoryError):
            repository.publish(release, files=files)


def test_a_repository_that_was_renamed_is_named() -> None:
    with github_simulator(former_name="acme/old-name") as simulator:
        access = Access(token=WRITER)
        former = open_repository(f"github://acme/old-name?api={simulator.url}", access=access)
        found = former.check()
        assert not found.writable
        assert "acme/old-name was renamed to 'acme/modules'" in found.obstacle


def test_a_server_that_stays_broken_is_a_network_error() -> None:
    with github_simulator() as simulator:
        simulator.faults = [Fault("POST ", status=429, headers={"Retry-After": "0"}, times=99)]
        with pytest.raises(NetworkError, match="429"):
            opened(simulator).check()
