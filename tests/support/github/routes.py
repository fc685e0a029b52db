"""What the simulated API does with a request: one function per operation."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from tests.support.github.shapes import (
    asset_json,
    commit_json,
    entry_json,
    ref_json,
    release_json,
    repository_json,
)
from tests.support.github.state import (
    Asset,
    Refused,
    SimulatedRepository,
    blob_sha,
    level_of,
    not_found,
)
from tests.support.serving import Reply, Request, file_reply, json_reply

BINARY = "application/octet-stream"
RAW = "application/vnd.github.raw+json"


@dataclass(frozen=True)
class Call:
    """A request to a repository that the caller may see; ``role`` is its token's."""

    base: str
    downloads: str
    repository: SimulatedRepository
    role: str
    request: Request
    parts: tuple[str, ...]

    @property
    def accept(self) -> str:
        """The requested media type."""
        return self.request.headers.get("Accept", "")

    @property
    def document(self) -> dict[str, Any]:
        """The request's JSON."""
        found: dict[str, Any] = json.loads(self.request.body)
        return found

    def argument(self, name: str, default: str = "") -> str:
        """Return one value of the query."""
        return self.request.query.get(name, default)

    @property
    def may_write(self) -> bool:
        """Whether the token may write."""
        return self.role in {"write", "job"}


def get_repository(call: Call) -> Reply:
    # A job's token is an installation's: its rights aren't shown here.
    return json_reply(
        200, repository_json(call.base, call.repository, push=call.role in {"write", "reader"})
    )


def list_releases(call: Call) -> Reply:
    releases = sorted(call.repository.releases.values(), key=lambda each: -each.id)
    seen = [each for each in releases if call.may_write or not each.draft]
    return _page(call, [release_json(call.base, call.repository, each) for each in seen])


def post_release(call: Call) -> Reply:
    release = call.repository.create_release(call.document)
    return json_reply(201, release_json(call.base, call.repository, release))


def get_by_tag(call: Call) -> Reply:
    release = call.repository.release_by_tag(unquote(call.parts[0]))
    return json_reply(200, release_json(call.base, call.repository, release))


def get_release(call: Call) -> Reply:
    release = call.repository.release(int(call.parts[0]))
    if release.draft and not call.may_write:
        raise not_found()
    return json_reply(200, release_json(call.base, call.repository, release))


def patch_release(call: Call) -> Reply:
    release = call.repository.change_release(int(call.parts[0]), call.document)
    return json_reply(200, release_json(call.base, call.repository, release))


def delete_release(call: Call) -> Reply:
    call.repository.delete_release(int(call.parts[0]))
    return Reply(204)


def list_assets(call: Call) -> Reply:
    release = call.repository.release(int(call.parts[0]))
    return _page(call, [asset_json(call.base, call.repository, each) for each in release.assets])


def post_asset(call: Call) -> Reply:
    asset = call.repository.add_asset(int(call.parts[0]), call.argument("name"), call.request.body)
    return json_reply(201, asset_json(call.base, call.repository, asset))


def get_asset(call: Call) -> Reply:
    release, asset = call.repository.asset(int(call.parts[0]))
    if (release.draft and not call.may_write) or asset.state != "uploaded":
        raise not_found()
    if call.accept == BINARY and call.repository.streams:
        return asset_reply(call.request, asset)
    if call.accept == BINARY:
        signature = hashlib.sha256(f"{asset.id}".encode()).hexdigest()
        return Reply(302, {"Location": f"{call.downloads}/{asset.id}?sig={signature}"})
    return json_reply(200, asset_json(call.base, call.repository, asset))


def asset_reply(request: Request, asset: Asset) -> Reply:
    """Respond with a file, or the rest of it that was requested."""
    return file_reply(request, asset.content, {"ETag": f'"{asset.id}"', "Content-Type": BINARY})


def delete_asset(call: Call) -> Reply:
    call.repository.delete_asset(int(call.parts[0]))
    return Reply(204)


def get_contents(call: Call) -> Reply:
    files = call.repository.files(call.argument("ref", "main"))
    path = unquote(call.parts[0])
    if path in files:
        content = files[path]
        if call.accept == RAW:
            return Reply(200, {"Content-Type": RAW}, content)
        entry = entry_json(call.base, call.repository, path, content)
        # Above 1 MB the content is left out, unless it is requested raw.
        text = base64.b64encode(content).decode() if len(content) <= 1 << 20 else ""
        encoding = "base64" if text else "none"
        return json_reply(200, {**entry, "content": text, "encoding": encoding})
    inside = {
        name.removeprefix(f"{path}/"): content
        for name, content in files.items()
        if name.startswith(f"{path}/")
    }
    if not inside:
        raise not_found()
    direct, folders = level_of(inside)
    entries: list[tuple[str, bytes | None]] = [*direct.items(), *((name, None) for name in folders)]
    return json_reply(
        200,
        [
            entry_json(call.base, call.repository, f"{path}/{name}", content)
            for name, content in sorted(entries)[: call.repository.listing_limit]
        ],
    )


def put_contents(call: Call) -> Reply:
    path = unquote(call.parts[0])
    content = base64.b64decode(call.document["content"], validate=True)
    sha, is_new = call.repository.put_file(path, call.document, content)
    entry = entry_json(call.base, call.repository, path, content)
    commit = commit_json(call.base, call.repository, sha)
    return json_reply(201 if is_new else 200, {"content": entry, "commit": commit})


def post_blob(call: Call) -> Reply:
    call.repository.require_history()
    sha = blob_sha(call.document["content"].encode())
    return json_reply(201, {"sha": sha, "url": f"{call.base}/git/blobs/{sha}"})


def post_tree(call: Call) -> Reply:
    sha = call.repository.add_tree(call.document["tree"])
    return json_reply(201, _tree(call, sha))


def get_tree(call: Call) -> Reply:
    name = unquote(call.parts[0])
    if name not in call.repository.trees:
        name = _keep_tree(call.repository, call.repository.files(name))
    return json_reply(200, _tree(call, name))


def post_commit(call: Call) -> Reply:
    sha = call.repository.commit_tree(call.document)
    return json_reply(201, commit_json(call.base, call.repository, sha))


def get_commit(call: Call) -> Reply:
    if call.parts[0] not in call.repository.commits:
        raise not_found()
    return json_reply(200, commit_json(call.base, call.repository, call.parts[0]))


def post_ref(call: Call) -> Reply:
    call.repository.create_ref(call.document["ref"], call.document["sha"])
    return json_reply(201, ref_json(call.base, call.repository, call.document["ref"]))


def get_matching_refs(call: Call) -> Reply:
    call.repository.require_history()
    wanted = f"refs/{unquote(call.parts[0])}"
    refs = sorted(ref for ref in list(call.repository.refs) if ref.startswith(wanted))
    return json_reply(200, [ref_json(call.base, call.repository, ref) for ref in refs])


def _tree(call: Call, sha: str) -> dict[str, Any]:
    direct, folders = level_of(call.repository.trees[sha])
    files = [{"path": name, "mode": "100644", "type": "blob", "sha": blob_sha(content)}
             for name, content in direct.items()]  # fmt: skip
    inner = [
        {"path": name, "mode": "040000", "type": "tree", "sha": _keep_tree(call.repository, inside)}
        for name, inside in folders.items()
    ]
    return {"sha": sha, "url": f"{call.base}/git/trees/{sha}", "tree": files + inner,
            "truncated": False}  # fmt: skip


def _keep_tree(repository: SimulatedRepository, files: dict[str, bytes]) -> str:
    sha = hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()
    repository.trees[sha] = dict(files)
    return sha


def _page(call: Call, items: list[Any]) -> Reply:
    size, number = int(call.argument("per_page", "30")), int(call.argument("page", "1"))
    if not 1 <= size <= 100:
        raise Refused(422, "per_page must be between 1 and 100")
    chosen = items[(number - 1) * size : number * size]
    headers = {}
    if number * size < len(items):
        # Under the repository's number, as GitHub does it.
        next_page = f"{call.base}/repositories/1/x?per_page={size}&page={number + 1}"
        headers["Link"] = f'<{next_page}>; rel="next", <{next_page}>; rel="last"'
    return json_reply(200, chosen, headers)


Route = Callable[[Call], Reply]
_N = r"(\d+)"
ROUTES: tuple[tuple[str, str, Route], ...] = (
    ("GET", r"", get_repository),
    ("GET", r"/releases", list_releases),
    ("POST", r"/releases", post_release),
    ("GET", r"/releases/tags/([^/]+)", get_by_tag),
    ("GET", rf"/releases/{_N}", get_release),
    ("PATCH", rf"/releases/{_N}", patch_release),
    ("DELETE", rf"/releases/{_N}", delete_release),
    ("GET", rf"/releases/{_N}/assets", list_assets),
    ("GET", rf"/releases/assets/{_N}", get_asset),
    ("DELETE", rf"/releases/assets/{_N}", delete_asset),
    ("GET", r"/contents/(.+)", get_contents),
    ("PUT", r"/contents/(.+)", put_contents),
    ("POST", r"/git/blobs", post_blob),
    ("POST", r"/git/trees", post_tree),
    ("GET", r"/git/trees/([^/]+)", get_tree),
    ("POST", r"/git/commits", post_commit),
    ("GET", r"/git/commits/([0-9a-f]{40})", get_commit),
    ("POST", r"/git/refs", post_ref),
    ("GET", r"/git/matching-refs/(.+)", get_matching_refs),
)
UPLOADS: tuple[tuple[str, str, Route], ...] = (("POST", rf"/releases/{_N}/assets", post_asset),)


def find_route(method: str, path: str, *, uploads: bool) -> tuple[Route, tuple[str, ...]]:
    """Return what serves a path below a repository, and the path's variable parts."""
    for wanted, pattern, route in UPLOADS if uploads else ROUTES:
        match = re.fullmatch(pattern, path)
        if match and wanted == method:
            return route, match.groups()
    raise not_found()
