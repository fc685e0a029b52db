"""Logging in at a real registry that requires a password or a token."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import RepositoryError
from ign_deploy.report import no_progress
from ign_deploy.repositories import PublishOutcome
from ign_deploy.repositories.access import Access
from ign_deploy.repositories.backends.oci.client import (
    Challenge,
    OciCredentials,
    RegistryClient,
    RegistryLogin,
    parse_challenges,
    requested_actions,
)
from ign_deploy.repositories.backends.oci.location import find_oci_location
from ign_deploy.repositories.record import ReleaseFile
from tests.support.releases import release_of
from tests.support.reporting import Recorder
from tests.support.servers import Credentials as Htpasswd
from tests.support.servers import RegistryServer, registry
from tests.support.serving import Reply, ScriptedServer, scripted_server
from tests.unit.repositories.backends.oci.opening import NAME, oci_url, open_at
from tests.unit.repositories.backends.oci.token_server import TokenServer, token_server

ID = "com.acme.thing"
USERS = {
    "ann": ("s3cret: ä", frozenset({"pull", "push", "delete"})),
    "eve": ("pw", frozenset({"pull", "push"})),
    "bob": ("pw", frozenset({"pull"})),
}


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    server = TokenServer(USERS, anonymous=frozenset({"pull"}))
    with token_server(tmp_path, server) as running:
        yield running


@pytest.fixture
def server(tokens: TokenServer, tmp_path: Path) -> Iterator[RegistryServer]:
    folder = tmp_path / "registry"
    folder.mkdir()
    with registry(folder, tokens=tokens.settings, delete=True) as running:
        yield running


def test_with_a_token_it_is_published_and_everybody_may_pull(
    server: RegistryServer, tokens: TokenServer, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path)
    reporter = Recorder()
    repository = open_at(server.url, username="ann", password="s3cret: ä", reporter=reporter)
    assert repository.check().writable
    assert repository.publish(release, files=files).outcome is PublishOutcome.PUBLISHED
    scopes = [query["scope"] for query in tokens.asked]
    assert scopes[0] == f"repository:{NAME}:pull,push"
    # One for the whole publication, and one more to take the claim away.
    assert scopes[1:] == [f"repository:{NAME}:delete,pull,push"]
    assert len(reporter.masked) == 2
    tokens.asked.clear()
    anonymous = open_at(server.url)
    assert anonymous.fetch(ID, version="1.0.0") == release
    assert [query["scope"] for query in tokens.asked] == [f"repository:{NAME}:pull"]
    assert "account" not in tokens.asked[0]


def test_who_may_not_delete_can_publish(
    server: RegistryServer, tokens: TokenServer, tmp_path: Path
) -> None:
    for refused in (frozenset[str](), frozenset({"delete"})):
        tokens.refused = refused
        repository = open_at(server.url, username="eve", password="pw")
        assert repository.check().writable
        release, files = release_of(tmp_path, version=f"1.0.{len(refused)}")
        assert repository.publish(release, files=files).outcome is PublishOutcome.PUBLISHED


def test_tokens_are_renewed_before_they_end(tokens: TokenServer) -> None:
    location = find_oci_location(f"oci://127.0.0.1:1/{NAME}")
    now = 1000.0
    authorization = RegistryLogin(
        location,
        credentials=OciCredentials("bob", "pw"),
        access=Access(),
        clock=lambda: now,
    )
    challenge = {"WWW-Authenticate": f'Bearer realm="{tokens.url}/token",service="x"'}
    assert authorization.respond_to(challenge, state=0)
    assert authorization.state == 1
    assert authorization.respond_to(challenge, state=0)  # another thread's question
    now += 200
    authorization.keep_fresh()
    assert len(tokens.asked) == 1
    now += 30
    authorization.keep_fresh()
    assert len(tokens.asked) == 2


@pytest.mark.parametrize(
    ("username", "password", "reported"),
    [("ann", "wr0ng", "wrong or expired"), ("", "", "set REPOSITORY_USERNAME")],
)
def test_a_missing_push_permission_is_explained(
    server: RegistryServer, username: str, password: str, reported: str
) -> None:
    try:
        found = open_at(server.url, username=username, password=password).check()
    except RepositoryError as caught:
        said = f"{caught.message} {caught.hint}"
    else:
        assert not found.writable
        said = found.obstacle
    assert reported in said
    assert "wr0ng" not in said


def test_pull_permission_allows_reading_and_reports_no_write_access(
    server: RegistryServer, tmp_path: Path
) -> None:
    release, files = release_of(tmp_path)
    open_at(server.url, username="ann", password="s3cret: ä").publish(release, files=files)
    reader = open_at(server.url, username="bob", password="pw")
    found = reader.check()
    assert not found.writable
    assert "lacks the permission" in found.obstacle
    assert reader.fetch(ID, version="1.0.0") == release
    other, files = release_of(tmp_path, version="2.0.0")
    with pytest.raises(RepositoryError, match="401"):
        reader.publish(other, files=files)


def test_a_registry_with_a_password_takes_a_token_as_one(tmp_path: Path) -> None:
    user = Htpasswd("token", "a-t0ken")
    with registry(tmp_path / "r", credentials=user) as server:
        assert open_at(server.url, token=user.password).check().writable
        with pytest.raises(RepositoryError) as caught:
            open_at(server.url).check()
        assert "set REPOSITORY_USERNAME" in caught.value.hint
        with pytest.raises(RepositoryError) as caught:
            open_at(server.url, token="wr0ng").check()
        assert "wrong or expired" in caught.value.hint


def ask_for_token(realm: str, *, host: str, credentials: OciCredentials | None) -> RegistryLogin:
    authorization = RegistryLogin(
        find_oci_location(f"oci://{host}/{NAME}"),
        credentials=credentials,
        access=Access(),
    )
    header = {"WWW-Authenticate": f'Bearer realm="{realm}",service="x"'}
    authorization.respond_to(header, state=0)
    return authorization


@pytest.mark.parametrize(
    ("realm", "host"),
    [
        ("https://127.1/token", "registry.example"),
        ("https://[::ffff:7f00:1]/token", "registry.example"),
        ("https://169.254.169.254/token", "registry.example"),
        ("http://auth.example.com/token", "registry.example.com"),
        ("http://127.0.0.1:1/token", "registry.example.com"),
        ("https://127.0.0.1:1/token", "registry.example.com"),
        ("https://localhost/token", "registry.example.com"),
        ("http://auth.example.com/token", "127.0.0.1:1"),
        ("https://user:pw@auth.example.com/token", "registry.example.com"),
        ("file:///etc/passwd", "registry.example.com"),
        ("//auth.example.com", "registry.example.com"),
        ("https://[broken", "registry.example.com"),
        ("", "registry.example.com"),
    ],
)
def test_a_password_never_goes_to_an_unsafe_token_server(realm: str, host: str) -> None:
    for credentials in (OciCredentials("ann", "s3cret"), None):
        with pytest.raises(RepositoryError, match="requires a token"):
            ask_for_token(realm, host=host, credentials=credentials)


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with scripted_server(Reply()) as running:
        yield running


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"token": ""}', b'{"token": 7}', b'{"token": "a\\nb"}', b"[]", b'"x"',
     b'{"token": "\\u00e4"}', b'{"token": "x", "expires_in": -1}',
     b'{"token": "x", "expires_in": "soon"}'],
)  # fmt: skip
def test_a_response_without_a_usable_token_is_rejected(
    scripted: ScriptedServer, body: bytes
) -> None:
    scripted.script = [Reply(200, body=body)]
    with pytest.raises(RepositoryError, match="has no token"):
        ask_for_token(f"{scripted.url}/t", host="127.0.0.1:1", credentials=None)


def test_the_realm_keeps_its_own_query_and_gets_basic_credentials(
    scripted: ScriptedServer,
) -> None:
    scripted.script = [Reply(200, body=b'{"access_token": "x", "unknown": 1}')]
    ask_for_token(
        f"{scripted.url}/t?a=b", host="127.0.0.1:1", credentials=OciCredentials("ann", "pw")
    )
    (request,) = scripted.requests
    parts = urlsplit(request.target)
    assert parts.query.startswith("a=b&service=x&scope=repository%3Aacme%2F")
    assert request.headers["Authorization"].startswith("Basic ")


@pytest.mark.parametrize("scheme", ["Basic", "Bearer"])
def test_a_host_that_a_blob_is_redirected_to_gets_no_password(
    scripted: ScriptedServer, scheme: str
) -> None:
    """Its own challenge, or the token server that it names, must not make us log in."""
    with scripted_server(Reply()) as registry, scripted_server(Reply()) as tokens:
        challenge = f'{scheme} realm="{tokens.url}/t",service="x"'
        scripted.script = [Reply(401, {"WWW-Authenticate": challenge})]
        registry.script = [Reply(307, {"Location": f"{scripted.url}/blob"})]
        location = find_oci_location(oci_url(registry.url))
        access = Access(username="ann", password="s3cret")
        with RegistryClient(location, access=access) as client:
            with pytest.raises(RepositoryError):
                client.request("GET", "/blobs/x", title="reading a blob")
            assert tokens.requests == []
            file = ReleaseFile(role="module", name="blob", size=1, sha256="0" * 64)
            with pytest.raises(
                RepositoryError, match=r"127\.0\.0\.1, where .* redirects to, returned"
            ):
                client.download("/blobs/x", file, to=BytesIO(), progress=no_progress)
        assert tokens.requests == []
        assert len(scripted.requests) == 2
        for request in (*scripted.requests, *registry.requests):
            assert "Authorization" not in request.headers


def test_an_unknown_scheme_gets_no_credentials() -> None:
    authorization = RegistryLogin(
        find_oci_location(f"oci://127.0.0.1:1/{NAME}"),
        credentials=OciCredentials("ann", "pw"),
        access=Access(),
    )
    assert not authorization.respond_to({"WWW-Authenticate": "Negotiate"}, state=0)
    assert not authorization.respond_to({}, state=0)
    assert authorization.respond_to({"WWW-Authenticate": 'Basic realm="x"'}, state=0)
    # The same password a second time would be the same refusal.
    assert not authorization.respond_to({"WWW-Authenticate": 'Basic realm="x"'}, state=1)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="store"', [("basic", {"realm": "store"})]),
        ("Negotiate", [("negotiate", {})]),
        (
            'Bearer realm="https://a/t",service="b c",scope="repository:x:pull,push"',
            [("bearer", {"realm": "https://a/t", "service": "b c",
                         "scope": "repository:x:pull,push"})],
        ),
        (
            r'Bearer Realm = "a\"b" , service=plain, Basic realm=x',
            [("bearer", {"realm": 'a"b', "service": "plain"}), ("basic", {"realm": "x"})],
        ),
        ('Bearer realm="one", realm="two"', [("bearer", {"realm": "one"})]),
        ('realm="of nothing"', []),
        ("", []),
        ('Bearer realm="open', [("bearer", {})]),
        ("=,;", []),
    ],
)  # fmt: skip
def test_challenges_are_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [(each.scheme, dict(each.parameters)) for each in parse_challenges(header)]
    assert found == expected


@given(st.text(max_size=200))
def test_no_header_breaks_the_reading(header: str) -> None:
    assert all(isinstance(each, Challenge) for each in parse_challenges(header))


def test_a_very_long_header_is_cut() -> None:
    assert len(parse_challenges("Basic, " * 100_000)) < 2000


def test_only_the_actions_on_our_repository_count() -> None:
    scope = "repository:acme/m:pull,push repository:other:delete registry:catalog:*"
    assert requested_actions(scope, name="acme/m") == {"pull", "push"}
    assert requested_actions("repository:host:5000/acme/m:delete", name="acme/m") == set()
    assert requested_actions("", name="acme/m") == set()
