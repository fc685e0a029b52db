"""Repository URLs: which registry they name, and which credentials are for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, NetworkError, RepositoryError
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends import open_repository
from ign_deploy.repositories.backends.oci.blobs import upload_address
from ign_deploy.repositories.backends.oci.client import OciCredentials, credentials_for
from ign_deploy.repositories.backends.oci.location import OciLocation, find_oci_location
from ign_deploy.repositories.backends.oci.references import next_page
from tests.support.serving import Reply, scripted_server
from tests.support.tls import make_tls

PLACE = find_oci_location("oci://registry.example.com/acme/modules")


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("oci://registry.example.com/acme/modules", "https://registry.example.com"),
        ("oci://Registry.example.com:5000/acme", "https://registry.example.com:5000"),
        ("oci://localhost:5000/a", "http://localhost:5000"),
        ("oci://127.0.0.1:5000/a", "http://127.0.0.1:5000"),
        ("oci://[::1]:5000/a", "http://[::1]:5000"),
        ("oci://localhost:5000/a?tls=true", "https://localhost:5000"),
        ("oci://localhost:5000/a?tls=false", "http://localhost:5000"),
        ("oci://registry.example.com/a?tls=true", "https://registry.example.com"),
        ("oci://docker.io/acme/modules", "https://registry-1.docker.io"),
        ("oci://127.0.0.1.example.com/a", "https://127.0.0.1.example.com"),
    ],
)
def test_only_this_machine_is_reached_without_tls(url: str, api: str) -> None:
    assert find_oci_location(url).api == api


@pytest.mark.parametrize(
    "url",
    [
        "oci://host", "oci://host/", "oci://host/Acme", "oci://host/a//b", "oci://host/a:1",
        "oci://host/a@sha256:0", "oci://host/../a", "oci://host/" + "a" * 256,
        "oci://host/a?immutable-tags=maybe", "oci://host/a?tls=1", "oci://host/a?tls=false",
        "oci://host/a?x=1", "oci://user:s3cret@host/a",
    ],
)  # fmt: skip
def test_what_names_no_repository_is_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_oci_location(url)
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_a_registry_on_this_machine_is_reached_over_tls(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    with scripted_server(Reply(200, body=b"{}"), tls=tls.context) as server:
        url = f"oci://localhost:{server.server_address[1]}/acme?tls=true"
        assert open_repository(url, access=Access(ca=tls.ca)).exists()
        with pytest.raises(NetworkError, match="TLS"):
            open_repository(url, access=Access()).exists()


def test_immutability_is_an_option() -> None:
    assert find_oci_location("oci://host/a?immutable-tags=true").immutable
    assert not find_oci_location("oci://host/a?immutable-tags=false").immutable
    assert find_oci_location("oci://host/a?immutable-tags=true").shown == "oci://host/a"


GITHUB = {"GITHUB_TOKEN": "of-the-job", "GITHUB_ACTOR": "ann"}
GITLAB = {
    "CI_REGISTRY": "registry.gitlab.example:5050",
    "CI_REGISTRY_USER": "gitlab-ci-token",
    "CI_REGISTRY_PASSWORD": "of-the-job",
}


@pytest.mark.parametrize(
    ("url", "access", "expected"),
    [
        ("oci://host/a", Access(), None),
        ("oci://host/a", Access(token="t"), OciCredentials("token", "t")),
        ("oci://host/a", Access(token="t", username="u"), OciCredentials("u", "t")),
        ("oci://host/a", Access(password="p", username="u"), OciCredentials("u", "p")),
        ("oci://ghcr.io/a", Access(env=GITHUB), OciCredentials("ann", "of-the-job")),
        ("oci://ghcr.io/a", Access(env={"GITHUB_TOKEN": "x"}), OciCredentials("token", "x")),
        ("oci://ghcr.io/a", Access(token="own", env=GITHUB), OciCredentials("token", "own")),
        ("oci://ghcr.io.example/a", Access(env=GITHUB), None),
        ("oci://ghcr.io:444/a", Access(env=GITHUB), None),
        ("oci://registry.gitlab.example:5050/a", Access(env=GITLAB),
         OciCredentials("gitlab-ci-token", "of-the-job")),
        ("oci://registry.gitlab.example/a", Access(env=GITLAB), None),
        ("oci://host/a", Access(env={**GITLAB, **GITHUB}), None),
    ],
)  # fmt: skip
def test_a_jobs_own_credentials_are_for_their_host_only(
    url: str, access: Access, expected: OciCredentials | None
) -> None:
    assert credentials_for(find_oci_location(url), access) == expected


def test_a_login_never_shows_its_password() -> None:
    assert "s3cret" not in repr(OciCredentials("u", "s3cret"))


BASE = "https://registry.example.com/v2/acme/modules/blobs/uploads/"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/v2/acme/modules/blobs/uploads/1?_state=x",
         "https://registry.example.com/v2/acme/modules/blobs/uploads/1?_state=x"),
        ("https://uploads.example.net/1", "https://uploads.example.net/1"),
        ("1?x", BASE + "1?x"),
    ],
)  # fmt: skip
def test_an_upload_goes_on_where_the_registry_says(location: str, expected: str) -> None:
    assert upload_address(location, base=BASE, location=PLACE) == expected


@pytest.mark.parametrize(
    "location",
    [
        "", " ", "http://registry.example.com/1", "ftp://registry.example.com/1",
        "file:///etc/passwd", "https://user:pw@registry.example.com/1", "https://[broken/1",
        "https://registry.example.com:99999999/1", "https://127.1/1", "https://localhost./1",
        "https://169.254.169.254/1",
    ],
)  # fmt: skip
def test_an_upload_is_never_sent_to_a_less_safe_url(location: str) -> None:
    with pytest.raises(RepositoryError) as caught:
        upload_address(location, base=BASE, location=PLACE)
    assert "X-Forwarded-Proto" in caught.value.hint
    assert "pw" not in caught.value.message


FIRST = "https://registry.example.com/v2/acme/modules/tags/list"


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("", None),
        ('</v2/acme/modules/tags/list?last=b&n=2>; rel="next"', f"{FIRST}?last=b&n=2"),
        (f"<{FIRST}?last=b>; rel=next", f"{FIRST}?last=b"),
        ('<x>; rel="prev", <list?last=c>; title="x"; rel="next"', f"{FIRST}?last=c"),
        ('<list?last=c>; rel="previous"', None),
        ("nonsense", None),
    ],
)
def test_the_next_page_of_tags_is_found(link: str, expected: str | None) -> None:
    assert next_page(link, base=f"{FIRST}?n=2", first=FIRST) == expected


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/v2/acme/modules/tags/list?last=b",
        "http://registry.example.com/v2/acme/modules/tags/list?last=b",
        "https://registry.example.com:444/v2/acme/modules/tags/list?last=b",
        "https://a:b@registry.example.com/v2/acme/modules/tags/list?last=b",
        "/v2/other/tags/list?last=b",
        "../../../other/tags/list?last=b",
        "/v2/acme/modules/tags/list",
        "https://[broken/?last=b",
    ],
)
def test_a_next_page_elsewhere_is_rejected(target: str) -> None:
    with pytest.raises(RepositoryError, match="next page"):
        next_page(f'<{target}>; rel="next"', base=f"{FIRST}?n=2", first=FIRST)


def test_the_location_shows_no_option() -> None:
    assert (
        OciLocation("registry.example.com", "acme/modules", "https://registry.example.com") == PLACE
    )
