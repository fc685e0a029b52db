"""The JSON of GitHub's answers, with all the fields that its description demands."""

from __future__ import annotations

import hashlib
from typing import Any

from tests.support.github.state import Asset, SimulatedRelease, SimulatedRepository, blob_sha

TIME = "2026-01-31T12:00:00Z"
_PAGES = "https://github.test"
_REPOSITORY_URLS = (
    "archive assignees blobs branches collaborators comments commits compare contents contributors "
    "deployments downloads events forks git_commits git_refs git_tags hooks issue_comment "
    "issue_events issues keys labels languages merges milestones notifications pulls releases "
    "stargazers statuses subscribers subscription tags teams trees"
)


def user(base: str) -> dict[str, Any]:
    """Return the user of a job's token."""
    url = f"{base}/users/github-actions%5Bbot%5D"
    names = "followers following gists organizations received_events repos starred subscriptions"
    return {
        "login": "github-actions[bot]",
        "id": 41898282,
        "node_id": "MDM6Qm90NDE4OTgyODI=",
        "avatar_url": "https://avatars.test/in/15368",
        "gravatar_id": "",
        "url": url,
        "html_url": f"{_PAGES}/apps/github-actions",
        "events_url": f"{url}/events",
        **{f"{name}_url": f"{url}/{name}" for name in names.split()},
        "type": "Bot",
        "site_admin": False,
    }


def repository_json(base: str, repository: SimulatedRepository, *, push: bool) -> dict[str, Any]:
    """Return a repository; ``push`` is what it says of the asking token's right."""
    url = f"{base}/repos/{repository.full_name}"
    page = f"{_PAGES}/{repository.full_name}"
    counts = (
        "forks forks_count open_issues open_issues_count size stargazers_count watchers "
        "watchers_count network_count subscribers_count"
    )
    return {
        "id": 1, "node_id": "R_1", "name": repository.full_name.split("/")[1],
        "full_name": repository.full_name, "owner": user(base), "private": repository.private,
        "html_url": page, "description": None, "fork": False, "url": url, "homepage": None,
        **{f"{name}_url": f"{url}/{name}" for name in _REPOSITORY_URLS.split()},
        **{f"{name}_url": page for name in ("clone", "git", "ssh", "svn")},
        "mirror_url": None, "language": None, "license": None, "default_branch": "main",
        **dict.fromkeys(counts.split(), 0),
        **{f"has_{name}": True for name in ("issues", "projects", "wiki", "pages", "discussions")},
        "archived": repository.archived, "disabled": False,
        "created_at": TIME, "updated_at": TIME, "pushed_at": TIME,
        "permissions": {"admin": False, "push": push, "pull": push},
    }  # fmt: skip


def release_json(
    base: str, repository: SimulatedRepository, release: SimulatedRelease
) -> dict[str, Any]:
    """Return a release with its files."""
    url = f"{base}/repos/{repository.full_name}/releases/{release.id}"
    # A draft's page has a name that isn't its tag.
    shown = f"untagged-{release.id:020x}" if release.draft else release.tag
    page = f"{_PAGES}/{repository.full_name}/releases/tag/{shown}"
    uploads = f"{base}/api/uploads/repos/{repository.full_name}/releases/{release.id}/assets"
    return {
        "url": url,
        "assets_url": f"{url}/assets",
        "upload_url": uploads + "{?name,label}",
        "html_url": page,
        "id": release.id,
        "author": user(base),
        "node_id": f"RE_{release.id}",
        "tag_name": release.tag,
        "target_commitish": release.target,
        "name": release.name,
        "draft": release.draft,
        "immutable": release.immutable,
        "prerelease": release.prerelease,
        "created_at": TIME,
        "published_at": None if release.draft else TIME,
        "assets": [asset_json(base, repository, asset) for asset in release.assets],
        "tarball_url": None if release.draft else f"{url}/tarball",
        "zipball_url": None if release.draft else f"{url}/zipball",
        "body": release.body,
    }


def asset_json(base: str, repository: SimulatedRepository, asset: Asset) -> dict[str, Any]:
    """Return a file of a release."""
    stated = asset.state == "uploaded" and repository.digests
    return {
        "url": f"{base}/repos/{repository.full_name}/releases/assets/{asset.id}",
        "id": asset.id,
        "node_id": f"RA_{asset.id}",
        "name": asset.name,
        "label": "",
        "uploader": user(base),
        "content_type": "application/octet-stream",
        "state": asset.state,
        "size": len(asset.content),
        "digest": f"sha256:{hashlib.sha256(asset.content).hexdigest()}" if stated else None,
        "download_count": 0,
        "created_at": TIME,
        "updated_at": TIME,
        "browser_download_url": f"{_PAGES}/{repository.full_name}/releases/download/{asset.name}",
    }


def entry_json(
    base: str, repository: SimulatedRepository, path: str, content: bytes | None
) -> dict[str, Any]:
    """Return an entry of a folder: a file, or a folder (None)."""
    url = f"{base}/repos/{repository.full_name}/contents/{path}"
    return {
        "name": path.rpartition("/")[2],
        "path": path,
        "sha": blob_sha(path.encode() if content is None else content),
        "size": 0 if content is None else len(content),
        "url": url,
        "html_url": url,
        "git_url": url,
        "download_url": None if content is None else url,
        "type": "dir" if content is None else "file",
        "_links": {"self": url, "git": url, "html": url},
    }


def commit_json(base: str, repository: SimulatedRepository, sha: str) -> dict[str, Any]:
    """Return a commit as the Git database shows it."""
    commit = repository.commits[sha]
    url = f"{base}/repos/{repository.full_name}/git/commits"
    person = {"name": "github-actions[bot]", "email": "bot@github.test", "date": TIME}
    return {
        "sha": sha,
        "node_id": f"C_{sha[:8]}",
        "url": f"{url}/{sha}",
        "html_url": f"{url}/{sha}",
        "author": person,
        "committer": person,
        "tree": {"sha": "0" * 40, "url": url},
        "message": commit.message,
        "parents": [
            {"sha": each, "url": f"{url}/{each}", "html_url": f"{url}/{each}"}
            for each in commit.parents
        ],
        "verification": {
            "verified": True, "reason": "valid", "signature": None, "payload": None,
            "verified_at": None,
        },
    }  # fmt: skip


def ref_json(base: str, repository: SimulatedRepository, ref: str) -> dict[str, Any]:
    """Return a reference."""
    url = f"{base}/repos/{repository.full_name}/git"
    sha = repository.refs[ref]
    return {
        "ref": ref,
        "node_id": "REF_1",
        "url": f"{url}/{ref}",
        "object": {"type": "commit", "sha": sha, "url": f"{url}/commits/{sha}"},
    }
