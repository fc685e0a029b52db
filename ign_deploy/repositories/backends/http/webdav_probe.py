"""What a web server supports: tried with a temporary folder before anything is uploaded.

Several writers try to create it at once: sabre/dav lets two of them.
"""

from __future__ import annotations

import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from ign_deploy.errors import RepositoryError
from ign_deploy.module.parallel import map_parallel
from ign_deploy.net.client import Client
from ign_deploy.net.errors import TransientFailure, TransientResponse, host_of
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.base import REQUESTED, accepts_ranges, stated_digest
from ign_deploy.repositories.backends.http.listing import (
    MAX_LISTING,
    PROPFIND_BODY,
    parse_json_listing,
    parse_multistatus,
)
from ign_deploy.repositories.backends.http.location import HttpLocation
from ign_deploy.repositories.record import INDEX_NAME

_NO_CLAIM = (
    "The server doesn't refuse to create a collection (MKCOL) twice, so only waiting keeps two "
    "jobs from publishing the same version at the same moment; enable WebDAV, or never publish one "
    "version from two jobs."
)
_RACY_CLAIM = (
    "The server can't promise that only one of two jobs creates a collection (MKCOL): it let "
    "several do so at once. Jobs of ign-deploy wait, and look for each other before they publish a "
    "version; don't let other programs write here."
)
_NO_DELETE = (
    "The account can't delete: claims, and the files of removed versions, stay on the server."
)


# More of them don't begin at the same moment: of sabre/dav's mistakes, four at once show fewer.
_RACERS = 2
_ONCE = RetryPolicy(attempts=1)
_LONGEST_START = 1.0


class ProbeResult(NamedTuple):
    """What a server supports.

    ``folders`` are those known to be in the root, itself included. ``claims_folders``: a second
    MKCOL of a folder is refused, at least when it comes later.
    """

    capabilities: Capabilities
    folders: frozenset[str] = frozenset()
    claims_folders: bool = False


@dataclass(frozen=True, slots=True)
class _Trial:
    """How writing went; ``refused`` is the response that ended it, None when all was accepted."""

    refused: Response | None = None
    exclusive: bool = False
    racy: bool = False
    deletes: bool = True


def probe_webdav(client: Client, location: HttpLocation) -> ProbeResult:
    """Find out what the server supports; the root is created if only it itself is missing.

    Raises RepositoryError when it can't be read.
    """
    root = f"{location.root}/"
    response = _look(client, root)
    folders = _folders(response, root)
    if response.status == 404:
        _make_root(client, root)
    elif response.status == 401:
        raise client.error_for_response(response)
    elif response.status != 207:
        return _without_dav(client, location)
    return _found(client, location, _try_writing(client, root))._replace(folders=folders)


def _folders(response: Response, root: str) -> frozenset[str]:
    try:
        listed = parse_multistatus(response.body, url=root) if response.status == 207 else []
    except RepositoryError:
        listed = []  # the trial says what can be done there
    return frozenset({"", *(name.text for name in listed if name.is_folder)})


def _look(client: Client, root: str) -> Response:
    return client.request(
        "PROPFIND", root, title="checking the repository", body=PROPFIND_BODY,
        headers={"Depth": "1", "Content-Type": "application/xml"}, limit=MAX_LISTING,
        expect=ANY_STATUS,
    )  # fmt: skip


def _make_collection(client: Client, url: str) -> Response:
    return client.request("MKCOL", url, title="creating a folder", expect=ANY_STATUS)


def _make_root(client: Client, root: str) -> None:
    made = _make_collection(client, root)
    if made.ok or made.status == 405:
        return
    # Apache refuses the second of two at the same moment with 403.
    if made.status == 403 and _look(client, root).status == 207:
        return
    if made.status == 409:
        raise RepositoryError(
            f"{host_of(root)} has neither the folder {unquote(urlsplit(root).path)} nor its parent",
            hint="correct the path in --repository-url, or create the folder on the server.",
        )
    raise client.error_for_response(made)


def _without_dav(client: Client, location: HttpLocation) -> ProbeResult:
    """Probe a server that doesn't support PROPFIND, or refuses it."""
    root = f"{location.root}/"
    index = client.request(
        "GET", f"{root}{INDEX_NAME}", title=f"reading {INDEX_NAME}", expect={404}, truncate=True
    )
    trial = _try_writing(client, root)
    found = _found(client, location, trial)
    if trial.refused:
        known = replace(found.capabilities, resume=accepts_ranges(index.headers))
    else:
        obstacle = _listing_obstacle(client, root)
        known = replace(found.capabilities, writable=not obstacle, obstacle=obstacle)
    return found._replace(capabilities=known)


def _listing_obstacle(client: Client, root: str) -> str:
    response = client.request(
        "GET", root, title="listing the repository", limit=MAX_LISTING, expect=ANY_STATUS,
        headers={"Accept": "application/json"},
    )  # fmt: skip
    try:
        if response.ok:
            parse_json_listing(response.body, url=root)
            return ""
    except RepositoryError:
        pass
    return (
        f"{host_of(root)} doesn't list folders: enable PROPFIND (WebDAV), or nginx's "
        "`autoindex on; autoindex_format json;`"
    )


def _try_writing(client: Client, root: str) -> _Trial:
    """Create a folder by several at once, put a file into it, check that, and delete all of it."""
    name = _trial_name(root)
    statuses = _race(client, f"{name}/")
    created = sum(200 <= each < 300 for each in statuses)
    exclusive = created == 1 and 405 in statuses
    if not created:
        first = _make_collection(client, f"{name}/")
        if first.status == 405:
            # Our own earlier attempt, whose response got lost, would be refused like that.
            name = _trial_name(root)
            first = _make_collection(client, f"{name}/")
        if first.status in {423, 507}:
            raise client.error_for_response(first)
        if not first.ok:
            return _try_file(client, name, folder=name)[0]
    if not exclusive:
        # Not left to the race: all runs have to agree on how versions are claimed.
        exclusive = not _make_collection(client, f"{name}/").ok
    trial = _try_file(client, f"{name}/trial", folder=f"{name}/")[0]
    return replace(trial, exclusive=exclusive, racy=created > 1)


def _trial_name(root: str) -> str:
    return f"{root}ign-deploy-probe-{secrets.token_hex(8)}"


def _race(client: Client, url: str) -> list[int]:
    """Create a collection several times at the same moment; return the statuses, 0 for none."""
    start = threading.Barrier(_RACERS)

    def create(_: int) -> int:
        with suppress(threading.BrokenBarrierError):
            start.wait(_LONGEST_START)
        try:
            return client.request(
                "MKCOL", url, title="creating a folder", expect=ANY_STATUS, retry=_ONCE
            ).status
        except (TransientResponse, TransientFailure):
            return 0

    return map_parallel(create, range(_RACERS), workers=_RACERS)


def describe_webdav(client: Client, root: str, *, found: Capabilities) -> Capabilities:
    """Add how the server hands out files; the probe of a publication needn't know."""
    name = _trial_name(f"{root}/")
    _, head = _try_file(client, name, folder=name, look=True)
    if head is None:
        return found
    has_digest = stated_digest(head.headers) is not None
    return replace(found, server_digest=has_digest, resume=accepts_ranges(head.headers))


def _try_file(
    client: Client, url: str, *, folder: str, look: bool = False
) -> tuple[_Trial, Response | None]:
    """Put a file, look at it if wanted, and delete the ``folder`` that it is in."""
    title, head = "writing a test file", None
    sent = client.request("PUT", url, title=title, body=b"trial\n", expect=ANY_STATUS)
    trial = _Trial(refused=None if sent.ok else sent)
    if sent.ok and look:
        head = client.request("HEAD", url, title=title, headers=REQUESTED, expect=ANY_STATUS)
    if sent.ok or folder != url:
        gone = client.request("DELETE", folder, title=title, expect=ANY_STATUS)
        trial = replace(trial, deletes=gone.ok or gone.status == 404)
    return trial, head


def _found(client: Client, location: HttpLocation, trial: _Trial) -> ProbeResult:
    obstacle, remarks = "", list[str]()
    if trial.refused:
        obstacle = client.error_for_response(trial.refused).message
    else:
        remarks += [] if trial.exclusive else [_NO_CLAIM]
        remarks += [_RACY_CLAIM] if trial.exclusive and trial.racy else []
        remarks += [] if trial.deletes else [_NO_DELETE]
    capabilities = Capabilities(
        location=location.root,
        writable=not trial.refused,
        obstacle=obstacle,
        create_once=trial.exclusive and not trial.racy,
        compare_and_swap=False,
        server_digest=False,
        resume=False,
        remarks=tuple(remarks),
    )
    return ProbeResult(capabilities, claims_folders=trial.exclusive)
