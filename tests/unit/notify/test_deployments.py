from __future__ import annotations

from collections.abc import Mapping

import pytest

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.notify.github import GithubStatuses, github_state, github_statuses
from ign_deploy.notify.gitlab import GitlabStatuses, gitlab_status, gitlab_statuses
from tests.support.notices import QUICK_SERVICE, as_is, hostile, notice
from tests.support.serving import Reply, scripted_server, serving
from tests.unit.notify.deployment_apis import SHA, TOKEN, GithubDeployments, GitlabDeployments


def github_env(url: str) -> dict[str, str]:
    return {
        "GITHUB_API_URL": url,
        "GITHUB_REPOSITORY": "org/pump",
        "GITHUB_SHA": SHA,
        "GITHUB_TOKEN": TOKEN,
    }


def gitlab_env(url: str) -> dict[str, str]:
    return {
        "CI_API_V4_URL": f"{url}/api/v4",
        "CI_PROJECT_ID": "7",
        "CI_COMMIT_SHA": SHA,
        "CI_COMMIT_REF_NAME": "v1.4.2",
        "CI_COMMIT_TAG": "v1.4.2",
        "GITLAB_TOKEN": TOKEN,
    }


def github(env: Mapping[str, str]) -> GithubStatuses:
    channel = github_statuses(env, service=QUICK_SERVICE)
    assert channel is not None
    return channel


def gitlab(env: Mapping[str, str]) -> GitlabStatuses:
    channel = gitlab_statuses(env, service=QUICK_SERVICE)
    assert channel is not None
    return channel


@pytest.mark.parametrize(
    ("event", "result", "states"),
    [
        ("deployment", "in-progress", ("in_progress", "running")),
        ("deployment", "restart-pending", ("in_progress", "running")),
        ("deployment", "deployed", ("success", "success")),
        ("deployment", "rolled-back", ("failure", "failed")),
        ("deployment", "failed", ("failure", "failed")),
        ("deployment", "rollback-failed", ("error", "failed")),
        ("deployment", "removed", ("inactive", "canceled")),
        ("rollback", "rolled-back", ("success", "success")),
        ("deployment", "something-new", ("failure", "failed")),
    ],
)
def test_every_result_has_its_state(event: str, result: str, states: tuple[str, str]) -> None:
    reported = notice(event=event, result=result)
    assert (github_state(reported), gitlab_status(reported)) == states


def test_github_shows_one_deployment_from_start_to_end() -> None:
    with serving(GithubDeployments()) as server:
        channel = github(github_env(server.url))
        channel.send(notice(result="in-progress"))
        channel.send(notice())
    [deployment] = server.deployments
    assert deployment["environment"] == "production"
    assert deployment["payload"] == {"ign-deploy": "d-1"}
    states = [each["state"] for each in server.statuses[deployment["id"]]]
    assert states == ["in_progress", "success"]
    assert server.statuses[deployment["id"]][0]["log_url"] == "https://ci.example.com/runs/1"


def test_a_job_that_was_killed_finds_its_own_deployment_again() -> None:
    with serving(GithubDeployments()) as server:
        github(github_env(server.url)).send(notice(result="in-progress"))
        github(github_env(server.url)).send(notice())
        github(github_env(server.url)).send(notice(deployment_id="d-2"))
    assert len(server.deployments) == 2
    assert [len(each) for each in server.statuses.values()] == [2, 1]


def test_a_token_without_permission_says_what_to_grant() -> None:
    with (
        serving(GithubDeployments(may_write=False)) as server,
        pytest.raises(NetworkError) as failure,
    ):
        github(github_env(server.url)).send(notice())
    assert failure.value.message == "creating a deployment failed: 127.0.0.1 returned 403"
    assert "deployments: write" in failure.value.hint
    assert "fork" in failure.value.hint


@pytest.mark.parametrize("missing", ["GITHUB_REPOSITORY", "GITHUB_SHA", "GITHUB_TOKEN"])
def test_without_a_repository_or_token_github_is_skipped(missing: str) -> None:
    env = github_env("https://api.github.com")
    assert github_statuses(env) is not None
    assert github_statuses(env | {missing: ""}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_REPOSITORY", "org/pump/../x"),
        ("GITHUB_REPOSITORY", "a/b\n"),
        ("GITHUB_SHA", "main"),
    ],
)
def test_values_that_would_change_the_request_address_are_ignored(name: str, value: str) -> None:
    assert github_statuses(github_env("https://h") | {name: value}) is None


@pytest.mark.parametrize("name", ["GITHUB_API_URL", "CI_API_V4_URL"])
def test_a_token_is_never_sent_over_unencrypted_http(name: str) -> None:
    env = github_env("https://h") | gitlab_env("https://h") | {name: "http://api.example.com"}
    with pytest.raises(ConfigurationError, match="unencrypted"):
        (github_statuses if name[0] == "G" else gitlab_statuses)(env)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'[{"id": "x"}]', b"\xff", b"[[[["])
def test_an_unexpected_response_is_reported_and_not_shown(body: bytes) -> None:
    with scripted_server(Reply(200, body=body)) as server:
        for channel in (github(github_env(server.url)), gitlab(gitlab_env(server.url))):
            with pytest.raises(NetworkError, match="unexpected response") as failure:
                channel.send(notice())
            assert failure.value.__cause__ is None


def test_releases_are_skipped() -> None:
    with serving(GithubDeployments()) as server:
        github(github_env(server.url)).send(notice(event="release"))
        github(github_env(server.url)).send(notice(environment=""))
        gitlab(gitlab_env(server.url)).send(notice(event="release"))
    assert server.requests == []


def test_hostile_texts_fit_into_githubs_limits() -> None:
    with serving(GithubDeployments()) as server:
        github(github_env(server.url)).send(hostile().cleaned(as_is))
    assert len(server.deployments) == 1


def test_gitlab_shows_one_deployment_from_start_to_end() -> None:
    with serving(GitlabDeployments()) as server:
        channel = gitlab(gitlab_env(server.url))
        channel.send(notice(result="in-progress"))
        channel.send(notice(result="restart-pending"))
        channel.send(notice())
    assert server.history == ["running", "success"]
    [deployment] = server.deployments.values()
    assert (deployment["environment"], deployment["ref"]) == ("production", "v1.4.2")
    assert (deployment["sha"], deployment["tag"]) == (SHA, True)


def test_the_token_of_the_job_is_used_if_there_is_no_other() -> None:
    with serving(GitlabDeployments(header="JOB-TOKEN")) as server:
        env = gitlab_env(server.url) | {"GITLAB_TOKEN": "", "CI_JOB_TOKEN": TOKEN}
        gitlab(env).send(notice())
    assert server.history == ["success"]


def test_gitlab_says_what_to_grant() -> None:
    with serving(GitlabDeployments()) as server, pytest.raises(NetworkError) as failure:
        gitlab(gitlab_env(server.url) | {"GITLAB_TOKEN": "another"}).send(notice())
    assert "scope `api`" in failure.value.hint


@pytest.mark.parametrize("missing", ["CI_API_V4_URL", "CI_PROJECT_ID", "CI_COMMIT_SHA"])
def test_without_a_project_gitlab_is_skipped(missing: str) -> None:
    assert gitlab_statuses(gitlab_env("https://h") | {missing: ""}) is None


def test_a_token_with_a_line_break_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as failure:
        gitlab_statuses(gitlab_env("https://h"), token="s3cret\n")
    assert "s3cret" not in failure.value.message


def test_tokens_are_secrets_and_not_shown() -> None:
    for channel in (github(github_env("https://h")), gitlab(gitlab_env("https://h"))):
        assert channel.secrets == (TOKEN,)
        assert TOKEN not in repr(channel) + channel.name
