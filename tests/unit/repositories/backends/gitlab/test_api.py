"""What a token may do in a project, and what GitLab's refusals mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from requests.structures import CaseInsensitiveDict

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.gitlab.api import following_page
from tests.support.gitlab_packages import (
    DEVELOPER,
    MAINTAINER,
    PROJECT,
    REPORTER,
    World,
    gitlab,
    gitlab_world,
)
from tests.support.releases import release_of
from tests.support.serving import Fault


def response_with(headers: dict[str, str]) -> Response:
    return Response(200, CaseInsensitiveDict(headers))


@pytest.mark.parametrize(
    ("headers", "page", "following"),
    [
        ({"X-Next-Page": "3"}, {"page": 2}, {"page": "3"}),
        ({"X-Next-Page": "", "Link": '<https://x/?page=3>; rel="next"'}, {"page": 2}, None),
        ({"Link": '<https://x/?page=3&a=b>; rel="next"'}, {"page": 2}, {"page": "3"}),
        ({"Link": '<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next"'},
         {"page": 2}, {"page": "3"}),
        ({"Link": '<https://x/?page=1>; rel="first"'}, {"page": 2}, None),
        ({"Link": '<https://evil/?private_token=x>; rel="next"'}, {"page": 2}, None),
        ({"Link": '<https://x/?cursor=abc>; rel="next"'}, {"pagination": "keyset"},
         {"pagination": "keyset", "cursor": "abc"}),
        ({}, {"pagination": "keyset"}, None),
        ({}, {"page": 2}, {"page": 3}),
    ],
)  # fmt: skip
def test_the_next_page_is_found_however_it_is_stated(
    headers: dict[str, str], page: dict[str, str | int], following: dict[str, str | int] | None
) -> None:
    assert following_page(response_with(headers), page, is_full=True) == following


def check(opened: World, **access: Any) -> Capabilities:
    return open_repository(opened.url, access=opened.access(**access)).check()


def error_for(opened: World, **access: Any) -> RepositoryError:
    with pytest.raises(RepositoryError) as caught:
        check(opened, **access)
    secret = access.get("token", opened.token)
    assert not secret or secret not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


def job_of(opened: World, **fields: Any) -> dict[str, Any]:
    """Return access as a CI job of the project acme/app has it."""
    secret = opened.server.add_token("glcbt-64_job", "job", project="acme/app", **fields)
    env = {
        "CI_JOB_TOKEN": secret,
        "CI_SERVER_HOST": "127.0.0.1",
        "CI_API_V4_URL": opened.server.api,
        "CI_PROJECT_PATH": "acme/app",
    }
    return {"token": "", "env": env}


def test_one_request_tells_whether_publishing_works(opened: World) -> None:
    found = check(opened)
    assert found == Capabilities(
        location=f"{opened.server.url}/{PROJECT}/-/packages",
        writable=True,
        obstacle="",
        create_once=True,
        compare_and_swap=False,
        server_digest=True,
        resume=True,
    )
    assert len(opened.server.requests) == 1


@pytest.mark.parametrize(
    ("role", "writable", "reported"),
    [(REPORTER, False, "Developer"), (DEVELOPER, True, "maintainers delete")],
)
def test_what_a_role_may_do(tmp_path: Path, role: int, writable: bool, reported: str) -> None:
    with gitlab_world(role=role) as opened:
        found = check(opened)
        assert found.writable is writable
        assert reported in f"{found.obstacle} {found.remarks}"


def test_an_administrator_without_a_role_may_publish(opened: World, tmp_path: Path) -> None:
    opened.server.tokens[opened.token].admin = True
    found = check(opened)
    assert found.writable
    assert "no role" in found.remarks[0]


def test_a_registry_that_is_off_is_reported(opened: World) -> None:
    opened.project.registry = False
    found = check(opened)
    assert not found.writable
    assert "switched off" in found.obstacle


def test_without_a_token_a_public_project_is_readable(opened: World) -> None:
    opened.project.public = True
    found = check(opened, token="")
    assert (found.writable, found.obstacle) == (False, "no token is set")


def test_without_a_token_a_private_project_is_hidden(opened: World) -> None:
    problem = error_for(opened, token="")
    assert "404" in problem.message
    assert "REPOSITORY_API_TOKEN" in problem.hint


def test_a_wrong_token_is_reported(opened: World) -> None:
    problem = error_for(opened, token="glpat-wrong")
    assert "401" in problem.message
    assert "expired" in problem.hint


def test_an_unknown_project_is_reported(opened: World) -> None:
    url = opened.url.replace("plant-7", "plant-8")
    with pytest.raises(RepositoryError, match="Project Not Found") as caught:
        open_repository(url, access=opened.access()).check()
    assert "check the path" in caught.value.hint


def test_a_deploy_token_is_reported_to_be_too_little(opened: World) -> None:
    scopes = frozenset({"write_package_registry"})
    roles = {PROJECT: DEVELOPER}
    secret = opened.server.add_token("gldt-x", "deploy", scopes=scopes, roles=roles)
    problem = error_for(opened, token=secret)
    assert "deploy token can't list packages" in problem.hint


def test_a_job_of_another_project_needs_the_allowlist(opened: World) -> None:
    access = job_of(opened)
    problem = error_for(opened, **access)
    assert f"add acme/app to the job token allowlist of {PROJECT}" in problem.hint
    opened.project.public = True
    problem = error_for(opened, **access)
    assert f"add acme/app to the job token allowlist of {PROJECT}" in problem.hint


def test_a_job_on_the_allowlist_publishes(opened: World, tmp_path: Path) -> None:
    opened.project.job_allowlist.add("acme/app")
    access = opened.access(**job_of(opened))
    repository = open_repository("gitlab://127.0.0.1/" + PROJECT, access=access)
    assert repository.check().writable
    release, files = release_of(tmp_path)
    repository.publish(release, files=files)
    assert all("JOB-TOKEN" in each.headers for each in opened.server.requests)


def test_a_gitlab_below_a_path_is_reached_in_its_jobs(tmp_path: Path) -> None:
    with gitlab(root="/git/lab") as server:
        server.add_project(PROJECT)
        secret = server.add_token("glpat-x", roles={PROJECT: MAINTAINER})
        access = Access(token=secret, env={"CI_API_V4_URL": server.api})
        repository = open_repository(f"gitlab://{server.host}/{PROJECT}", access=access)
        release, files = release_of(tmp_path)
        done = repository.publish(release, files=files)
        assert done.location.startswith(f"{server.url}/git/lab/{PROJECT}/-/packages/")


def publishing_refused(opened: World, folder: Path, **access: Any) -> RepositoryError:
    release, files = release_of(folder)
    with pytest.raises(RepositoryError) as caught:
        open_repository(opened.url, access=opened.access(**access)).publish(release, files=files)
    assert not any(name == "release.json" for _, _, name in opened.snapshot())
    return caught.value


def test_a_scope_that_only_reads_is_reported(opened: World, tmp_path: Path) -> None:
    opened.server.tokens[opened.token].scopes = frozenset({"read_api"})
    assert check(opened).writable  # the scope shows only at the claim, before any upload
    problem = publishing_refused(opened, tmp_path)
    assert "scope api" in problem.hint
    assert not opened.server.matching(r"PUT .*\.modl")


def test_a_protected_package_is_reported(opened: World, tmp_path: Path) -> None:
    opened.project.protected = r"com\.acme\..*"
    assert "protection rules" in publishing_refused(opened, tmp_path).hint


def test_a_full_namespace_is_reported(opened: World, tmp_path: Path) -> None:
    opened.project.storage_full = True
    assert "free storage" in publishing_refused(opened, tmp_path).hint


def test_a_file_too_large_is_reported(opened: World, tmp_path: Path) -> None:
    too_large = Fault(
        r"PUT .*\.modl", status=413, body=b"<html>413</html>", headers={"Content-Type": "text/html"}
    )
    opened.server.faults.append(too_large)
    assert "client_max_body_size" in publishing_refused(opened, tmp_path).hint
    limit = b'{"message":"400 Bad request - File is too large"}'
    opened.server.faults.append(Fault(r"PUT .*\.modl", status=400, body=limit))
    assert "limit for generic packages" in publishing_refused(opened, tmp_path).hint


def test_a_moved_project_is_reported(opened: World, tmp_path: Path) -> None:
    opened.server.add_project("acme/new")
    opened.server.tokens[opened.token].roles = {PROJECT: MAINTAINER, "acme/new": MAINTAINER}
    opened.project.moved_to = "acme/new"
    assert "current path" in publishing_refused(opened, tmp_path).hint


def test_a_untrusted_reason_is_shown_harmless(opened: World) -> None:
    body = b'{"message": "no \\u001b[31m\\n::set-output", "error": {"a": 1}}'
    opened.server.faults.append(Fault(r"GET", status=403, body=body))
    problem = error_for(opened)
    assert "\n" not in problem.message
    assert "\x1b" not in problem.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>sign in</html>",
        b"[]",
        b'{"permissions": {"project_access": "s3cr3t-x"}}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_a_response_that_is_not_gitlabs_is_reported(opened: World, body: bytes) -> None:
    opened.server.faults.append(Fault(r"GET", status=200, body=body))
    problem = error_for(opened)
    assert "sent an unexpected response" in problem.message
    assert "s3cr3t" not in problem.message
