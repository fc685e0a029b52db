"""Where a run comes from: commit, CI job and person."""

from __future__ import annotations

import pytest

from ign_deploy.pipeline.provenance import read_provenance

GITHUB = {
    "GITHUB_SHA": "a" * 40,
    "GITHUB_REF": "refs/tags/v1",
    "GITHUB_RUN_ID": "7",
    "GITHUB_ACTOR": "me",
    "GITHUB_REPOSITORY": "org/modules",
    "GITHUB_SERVER_URL": "https://github.com",
}


@pytest.mark.parametrize(
    ("env", "commit"),
    [(GITHUB, "a" * 40), ({"CI_COMMIT_SHA": "b"}, "b"), ({"GIT_COMMIT": "c"}, "c"), ({}, "")],
)
def test_the_commit_is_the_one_the_host_builds(env: dict[str, str], commit: str) -> None:
    assert read_provenance(env).commit == commit


def test_the_build_is_described_by_what_the_host_shows_in_public() -> None:
    assert read_provenance({}).build == {}
    assert read_provenance({**GITHUB, "GITHUB_TOKEN": "s3cret"}, environment="test").build == {
        "ref": "refs/tags/v1",
        "run": "7",
        "url": "https://github.com/org/modules/actions/runs/7",
        "actor": "me",
        "source": "org/modules",
        "environment": "test",
    }
    gitlab = read_provenance({"CI_JOB_ID": "1", "CI_JOB_URL": "https://x/1"})
    assert gitlab.build == {"run": "1", "url": "https://x/1"}
    assert gitlab.run_url == "https://x/1"
