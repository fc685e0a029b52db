"""GitHub's rate limits, as a publication meets them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ign_deploy.errors import NetworkError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories import PublishOutcome
from tests.support.github.limits import Form, Limit
from tests.support.github.server import GitHub, github_simulator
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.unit.repositories.backends.github.opening import content_of, opened

NOW = 1_800_000_000.0


@pytest.fixture
def simulator(monkeypatch: pytest.MonkeyPatch) -> Iterator[GitHub]:
    """A server whose clock moves by our waits only."""
    with github_simulator() as running:
        running.date = NOW

        def sleep(seconds: float) -> None:
            assert running.date is not None
            running.date += seconds

        def policy(_: int) -> RetryPolicy:
            return RetryPolicy(sleep=sleep, clock=lambda: running.date or 0.0)

        monkeypatch.setattr(RetryPolicy, "for_size", staticmethod(policy))
        yield running


@pytest.mark.parametrize("form", Form)
def test_a_limit_is_waited_for_without_another_request(
    simulator: GitHub, tmp_path: Path, form: Form
) -> None:
    simulator.limit = Limit(form, NOW + 50)
    said = Recorder()
    release, files = release_of(tmp_path)
    publication = opened(simulator, reporter=said).publish(release, files=files)
    assert publication.outcome is PublishOutcome.PUBLISHED
    assert simulator.limit.refused == 1
    assert "limits how many requests it accepts" in said.warnings[0]
    waited = 51.0 if form is Form.PRIMARY else 50.0 if form is Form.RETRY_AFTER else 60.0
    assert f"retrying in {waited:.1f} s" in said.warnings[0]


def test_a_limit_met_by_a_download_is_waited_for(simulator: GitHub, tmp_path: Path) -> None:
    release, files = release_of(tmp_path, content=b"one")
    repository = opened(simulator)
    repository.publish(release, files=files)
    simulator.limit = Limit(Form.TEXT, NOW + 100)
    simulator.requests.clear()
    assert content_of(repository, release.id, "1.0.0") == b"one"
    assert simulator.limit.refused == 2  # after a minute, and two more


def test_a_limit_beyond_the_deadline_says_when_it_resets(simulator: GitHub, tmp_path: Path) -> None:
    simulator.limit = Limit(Form.PRIMARY, NOW + 1740)
    release, files = release_of(tmp_path)
    with pytest.raises(NetworkError, match=r"resets at \d\d:\d\d:\d\d UTC, in 29 min") as caught:
        opened(simulator).publish(release, files=files)
    assert simulator.limit.refused == 1
    assert caught.value.exit_code == 9
    assert "status page" not in caught.value.hint
