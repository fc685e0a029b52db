"""What a web server offers: asked with a throw-away collection, before anything is uploaded."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from ign_deploy.errors import RepositoryError
from ign_deploy.net.errors import host_of
from ign_deploy.net.fetching import SmallAnswer
from ign_deploy.net.sending import Sent
from ign_deploy.repositories import Capabilities
from ign_deploy.repositories.backends.http.client import Client
from ign_deploy.repositories.backends.http.digests import WANTED, stated_digest
from ign_deploy.repositories.backends.http.errors import refusal
from ign_deploy.repositories.backends.http.listing import PROPFIND_BODY, parse_json_listing
from ign_deploy.repositories.record import INDEX_NAME

_NO_CLAIM = (
    "The server makes no collections (MKCOL) of which a second one is refused, so two jobs that "
    "publish the same version at the same moment are kept apart by waiting only; switch on WebDAV, "
    "or never publish one version from two jobs."
)
_NO_DELETE = (
    "The account may not delete: claims, and the files of removed versions, stay on the server."
)


@dataclass(frozen=True, slots=True)
class _Trial:
    """How writing went: ``refused`` is the status that ended it, 0 when all was accepted."""

    refused: int = 0
    exclusive: bool = False
    deletes: bool = True
    digest: bool = False
    resume: bool = False


def find_out(client: Client) -> Capabilities:
    """See ``Store.probe``; the root is made if only it itself is missing.

    Raises RepositoryError when it can't be read.
    """
    root = f"{client.location.root}/"
    answer = _look(client, root)
    if answer.status == 404:
        _make_root(client, root)
    elif answer.status == 401:
        raise refusal(401, root, doing="looking at the repository")
    elif answer.status != 207:
        return _without_dav(client, root)
    return _capabilities(client, _try_writing(client, root))


def _look(client: Client, root: str) -> SmallAnswer:
    return client.ask("PROPFIND", root, headers={"Depth": "0"}, data=PROPFIND_BODY)


def _make_root(client: Client, root: str) -> None:
    sent = client.change("MKCOL", root)
    if sent.accepted or sent.status == 405:
        return
    # Apache refuses the second of two at the same moment with 403.
    if sent.status == 403 and _look(client, root).status == 207:
        return
    if sent.status == 409:
        raise RepositoryError(
            f"{host_of(root)} has no folder {unquote(urlsplit(root).path)}, nor the one it would "
            "be in",
            hint="mend the path in --repository-url, or make the folder on the server.",
        )
    raise refusal(sent.status, root, doing="making the repository's folder")


def _without_dav(client: Client, root: str) -> Capabilities:
    """Look at a server that knows no PROPFIND, or refuses it."""
    index = client.ask("GET", f"{root}{INDEX_NAME}")
    if index.status not in {200, 404}:
        raise refusal(index.status, root, doing=f"reading {INDEX_NAME}")
    trial = _try_writing(client, root)
    found = _capabilities(client, trial)
    if trial.refused:
        return replace(found, resume=_resumes(index))
    obstacle = _listing_obstacle(client, root)
    return replace(found, writable=not obstacle, obstacle=obstacle)


def _listing_obstacle(client: Client, root: str) -> str:
    answer = client.ask("GET", root, headers={"Accept": "application/json"})
    try:
        if answer.status == 200:
            parse_json_listing(answer.body, url=root)
            return ""
    except RepositoryError:
        pass
    return (
        f"{host_of(root)} lists no folders: switch on PROPFIND (WebDAV), or nginx's "
        "`autoindex on; autoindex_format json;`"
    )


def _try_writing(client: Client, root: str) -> _Trial:
    """Make a collection twice, put a file into it, look at that, and delete all of it."""
    name, first = _make_trial(client, root)
    if first.status == 405:
        # Our own first attempt, of which the answer got lost, would be refused like that.
        name, first = _make_trial(client, root)
    if first.status in {423, 507}:
        raise refusal(first.status, root, doing="making a folder for trial")
    if not first.accepted:
        return _try_file(client, name, location=name)
    second = client.change("MKCOL", f"{name}/")
    trial = _try_file(client, f"{name}/trial", location=f"{name}/")
    return replace(trial, exclusive=not second.accepted)


def _make_trial(client: Client, root: str) -> tuple[str, Sent]:
    name = f"{root}ign-deploy-probe-{secrets.token_hex(8)}"
    return name, client.change("MKCOL", f"{name}/")


def _try_file(client: Client, url: str, *, location: str) -> _Trial:
    """Put a file, and delete what is at ``place``."""
    sent = client.change("PUT", url, data=b"trial\n")
    if not sent.accepted:
        trial = _Trial(refused=sent.status)
    else:
        head = client.ask("HEAD", url, headers=WANTED)
        trial = _Trial(digest=stated_digest(head.headers) is not None, resume=_resumes(head))
    if sent.accepted or location != url:
        gone = client.change("DELETE", location)
        trial = replace(trial, deletes=gone.accepted or gone.status == 404)
    return trial


def _resumes(answer: SmallAnswer) -> bool:
    return answer.headers.get("Accept-Ranges", "").strip().lower() == "bytes"


def _capabilities(client: Client, trial: _Trial) -> Capabilities:
    root = client.location.root
    obstacle, remarks = "", list[str]()
    if trial.refused:
        obstacle = refusal(trial.refused, root, doing="writing a file for trial").message
    else:
        remarks += [] if trial.exclusive else [_NO_CLAIM]
        remarks += [] if trial.deletes else [_NO_DELETE]
    return Capabilities(
        location=root,
        writable=not trial.refused,
        obstacle=obstacle,
        create_once=trial.exclusive,
        compare_and_swap=False,
        server_digest=trial.digest,
        resume=trial.resume,
        remarks=tuple(remarks),
    )
