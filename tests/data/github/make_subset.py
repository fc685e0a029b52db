"""Makes ``openapi-subset.json`` from GitHub's own description: only what the backend uses.

``python -m tests.data.github.make_subset api.github.com.json``; see the README beside it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

USED = {
    "/repos/{owner}/{repo}": ("get",),
    "/repos/{owner}/{repo}/releases": ("get", "post"),
    "/repos/{owner}/{repo}/releases/tags/{tag}": ("get",),
    "/repos/{owner}/{repo}/releases/{release_id}": ("get", "patch", "delete"),
    "/repos/{owner}/{repo}/releases/{release_id}/assets": ("get", "post"),
    "/repos/{owner}/{repo}/releases/assets/{asset_id}": ("get", "delete"),
    "/repos/{owner}/{repo}/contents/{path}": ("get", "put"),
    "/repos/{owner}/{repo}/git/blobs": ("post",),
    "/repos/{owner}/{repo}/git/trees": ("post",),
    "/repos/{owner}/{repo}/git/trees/{tree_sha}": ("get",),
    "/repos/{owner}/{repo}/git/commits": ("post",),
    "/repos/{owner}/{repo}/git/commits/{commit_sha}": ("get",),
    "/repos/{owner}/{repo}/git/refs": ("post",),
    "/repos/{owner}/{repo}/git/matching-refs/{ref}": ("get",),
}
_PROSE = frozenset({"description", "summary", "example", "examples", "externalDocs", "tags"})
# A folder's listing is an array, to which a discriminator can't apply; the oneOf beside it stays.
_WRONG = frozenset({"discriminator"})
# Below these, keys are names of their own, such as a property called ``tags``.
_NAMED = frozenset({"properties", "responses", "schemas", "parameters", "headers", "content"})


def subset(whole: dict[str, Any]) -> dict[str, Any]:
    """Return a description with the used operations and all that they refer to, without prose."""
    paths = {
        path: {method: without_prose(whole["paths"][path][method]) for method in methods}
        for path, methods in USED.items()
    }
    kept: dict[str, dict[str, Any]] = {}
    pending = list(references(paths))
    while pending:
        _, _, kind, name = pending.pop().split("/")
        if name in kept.setdefault(kind, {}):
            continue
        part = without_prose(whole["components"][kind][name])
        kept[kind][name] = part
        pending += references(part)
    return {
        "openapi": whole["openapi"],
        "info": {key: whole["info"][key] for key in ("title", "version", "license")},
        "servers": [{"url": "https://api.github.com"}],
        "paths": paths,
        "components": kept,
    }


def without_prose(value: Any, *, named: bool = False) -> Any:
    """Return a part of the description without what only people read."""
    if isinstance(value, list):
        return [without_prose(each) for each in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"oneOf"} and all(
        each.get("$ref", "").endswith("-error") for each in value["oneOf"]
    ):
        # No error has a field of its own that must be there: each fits all of them.
        value = {"anyOf": value["oneOf"]}
    kept = {}
    for key, each in value.items():
        if not named and (key in _PROSE | _WRONG or key.startswith("x-") or key == "servers"):
            continue
        kept[key] = without_prose(each, named=not named and key in _NAMED)
    # An answer must have a description to be valid.
    if not named and ("content" in kept or not kept) and "description" in value:
        kept["description"] = ""
    return kept


def references(value: Any) -> list[str]:
    """Return every ``$ref`` in a part of the description."""
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for each in value.values() for found in references(each)]


if __name__ == "__main__":
    document = subset(json.loads(Path(sys.argv[1]).read_bytes()))
    text = json.dumps(document, separators=(",", ":"), sort_keys=True)
    Path(__file__).with_name("openapi-subset.json").write_text(text + "\n")
