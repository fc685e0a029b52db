"""Pin the Dockerfile's images by digest, as their registry states them now.

    make pin                                    # run it where the registry can be reached
    python3 -m tools.pin_images --check         # only whether all are pinned; needs no packages
    .venv/bin/python -m tools.pin_images --registry mirror.example:5000

Pinned are the syntax (``# syntax=``), every ``ARG BASE=`` and every image named by ``FROM``. Tags
stay, for readers and for the next run, which takes the tags' newest images.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

DOCKERFILE = Path("Dockerfile")
PLATFORMS = frozenset({"linux/amd64", "linux/arm64"})
"""Those that the release builds for."""
_HUB = "docker.io"
_IMAGE = re.compile(
    r"^(?P<before># syntax=|ARG BASE=|FROM (?:--\S+ )*)(?P<name>[^\s@]+)(?P<digest>@\S*)?"
    r"(?P<after>(?: AS (?P<stage>\S+))?\s*)$",
    re.MULTILINE | re.IGNORECASE,
)
_PINNED = re.compile(r"[^\s@]+@sha256:[0-9a-f]{64}")
_FIXED = re.compile(r"^(?:# syntax=|ARG BASE=)(\S+)\s*$", re.MULTILINE)
_CONTINUED = re.compile(r"\\[ \t]*\r?\n(?:[ \t]*#[^\n]*\n)*")
_USED = re.compile(r"(?:^--from=|^--mount=(?:\S*,)?from=)([^\s,]+)")
_INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
Resolve = Callable[[str], str]


def main(arguments: Sequence[str]) -> int:
    """Pin or check the Dockerfile in the current folder; return the exit code."""
    parser = argparse.ArgumentParser(prog="pin_images", description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="only check that all are pinned")
    parser.add_argument("--registry", default="", help="registry to ask instead of the images' own")
    options = parser.parse_args(arguments)
    text = DOCKERFILE.read_text("utf-8")
    if not options.check:
        text = pin(text, resolve=lambda image: newest_digest(image, registry=options.registry))
        DOCKERFILE.write_text(text, "utf-8")
    unpinned = unpinned_images(text)
    for image in unpinned:
        sys.stderr.write(f"{DOCKERFILE}: {image} is not pinned by digest; run `make pin`\n")
    return 1 if unpinned else 0


def unpinned_images(text: str) -> list[str]:
    """Return the images without a digest; a Dockerfile without a syntax or base lacks those.

    Every way counts in which an instruction can name an image; of arguments, only ``BASE``.
    """
    missing = [
        f"the line beginning with {before.strip()!r}"
        for before in ("# syntax=", "ARG BASE=")
        if not any(match["before"] == before for match in _images(text))
    ]
    named = [match[1] for match in _FIXED.finditer(text)]
    stages = {"scratch", "$base", "${base}"}
    for line in _CONTINUED.sub(" ", text).splitlines():
        instruction, *words = line.split() or [""]
        if instruction.upper() == "FROM":
            image, *rest = [word for word in words if not word.startswith("--")] or [""]
            named += [image] if image.lower() not in stages else []
            stages |= {rest[1].lower()} if len(rest) > 1 else set()
        elif instruction.upper() in ("COPY", "ADD", "RUN"):
            used = [match[1] for word in words for match in _USED.finditer(word)]
            named += [image for image in used if image.lower() not in stages]
    return missing + [image.partition("@")[0] for image in named if not _PINNED.fullmatch(image)]


def pin(text: str, *, resolve: Resolve) -> str:
    """Return the Dockerfile with the digest that ``resolve`` returns for each image."""
    pinned = text
    for match in reversed(_images(text)):
        image = match["name"]
        line = f"{match['before']}{image}@{resolve(image)}{match['after']}"
        pinned = pinned[: match.start()] + line + pinned[match.end() :]
    return pinned


def _images(text: str) -> list[re.Match[str]]:
    """Return the lines that name an image, not an argument or an earlier stage."""
    found: list[re.Match[str]] = []
    stages: set[str] = {"scratch"}
    for match in _IMAGE.finditer(text):
        if match["name"].lower() not in stages and not match["name"].startswith("$"):
            found.append(match)
        if match["stage"]:
            stages.add(match["stage"].lower())
    return found


def newest_digest(image: str, *, registry: str = "") -> str:
    """Return the digest of what a tag names now; raises an IgnDeployError.

    It is computed from the content, not taken from a header. The image must be one for all
    platforms of a release: the digest of a single platform's would break the other builds.
    """
    from ign_deploy.errors import RepositoryError
    from ign_deploy.repositories.access import Access
    from ign_deploy.repositories.backends.oci.client import RegistryClient
    from ign_deploy.repositories.backends.oci.location import find_oci_location

    host, name, tag = split_image(image)
    location = find_oci_location(f"oci://{registry or host}/{name}")
    with RegistryClient(location, access=Access(env=os.environ)) as client:
        response = client.request(
            "GET",
            f"/manifests/{tag}",
            title=f"reading {image}",
            headers={"Accept": ", ".join(_INDEX_TYPES)},
        )
    listed = response.fields().get("manifests")
    entries = (
        [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    )
    platforms = {_platform(each.get("platform")) for each in entries}
    if not platforms >= PLATFORMS:
        raise RepositoryError(
            f"{image} is not an image for {' and '.join(sorted(PLATFORMS))}",
            hint="choose another tag.",
        )
    return f"sha256:{hashlib.sha256(response.body).hexdigest()}"


def split_image(image: str) -> tuple[str, str, str]:
    """Split a reference into registry, repository and tag, with the defaults that Docker has."""
    folder, slash, last = image.rpartition("/")
    last, _, tag = last.partition(":")
    name = f"{folder}{slash}{last}"
    host, slash, path = name.partition("/")
    if not slash or not ("." in host or ":" in host or host == "localhost"):
        host, path = _HUB, name if slash else f"library/{name}"
    return host, path, tag or "latest"


def _platform(platform: object) -> str:
    if not isinstance(platform, dict):
        return ""
    return f"{platform.get('os')}/{platform.get('architecture')}"


def _run() -> int:
    from ign_deploy.errors import IgnDeployError

    try:
        return main(sys.argv[1:])
    except IgnDeployError as problem:
        sys.stderr.write(f"{problem.message}\nhint: {problem.hint}\n")
        return problem.exit_code


if __name__ == "__main__":
    sys.exit(_run())
