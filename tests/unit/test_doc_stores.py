"""The pages on stores and gateways name all kinds, with URLs that can be opened."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from ign_deploy.deployment.gateway import GatewayAccess, open_target
from ign_deploy.report import SilentReporter
from ign_deploy.repositories.backends import BACKENDS, open_repository
from tests.support.pages import blocks, code_words, page_text, section

# Values for the placeholders of CI hosts.
PLACEHOLDERS = {
    "${{ github.repository }}": "example/pump",
    "$CI_SERVER_HOST": "gitlab.example.com",
    "$CI_PROJECT_PATH": "plant/modules",
}
STORES = {scheme for scheme in BACKENDS if scheme not in ("http", "https", "file")}


def fill_placeholders(text: str) -> str:
    for name, value in PLACEHOLDERS.items():
        text = text.replace(name, value)
    return text


def command_words() -> Iterator[list[str]]:
    """Yield the words of each command line in the pages."""
    for block in blocks("sh", "bash", "yaml", "groovy"):
        for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
            if "ign-deploy " in line and "://" in line:
                yield shlex.split(line.strip().removeprefix("- run: ").rstrip("'"))


def values_of(option: str) -> set[str]:
    """Return all values of an option in command lines."""
    pairs = [pair for words in command_words() for pair in pairwise(words)]
    return {value for name, value in pairs if name == option}


def repository_urls() -> set[str]:
    settings = [
        found
        for block in blocks("yaml", "toml", "ini")
        for found in re.findall(
            r"(?:repository-url|MODULE_REPOSITORY_URL)\s*[:=]\s*\"?([^\"\n]+)", block.text
        )
    ]
    stores = [
        word for words in command_words() for word in words if word.partition("://")[0] in STORES
    ]
    shown = (*values_of("--repository-url"), *settings, *stores)
    return {fill_placeholders(text.strip()) for text in shown} - {
        "${{ vars.MODULE_REPOSITORY_URL }}"
    }


@pytest.mark.parametrize("url", sorted(repository_urls()))
def test_every_documented_repository_url_can_be_opened(url: str) -> None:
    assert open_repository(url, reporter=SilentReporter())


def test_repositories_of_every_kind_are_shown() -> None:
    schemes = {url.partition(":")[0] for url in repository_urls() if "://" in url}
    assert schemes >= STORES - {"nexus+http", "artifactory+http", "artifactory+https"}


def test_every_kind_of_store_has_a_row_with_its_url() -> None:
    text = page_text("publish-to-a-store.md")
    rows = re.findall(r"^\| \[.*?\]\(#.*?\).*? \| `([a-z0-9+]+)://.*?` \|$", text, re.M)
    plain = {"file", "http", "nexus+http", "artifactory+http"}  # explained below the table
    assert set(rows) == set(BACKENDS) - plain


def test_the_guarantees_of_every_kind_of_store_are_documented() -> None:
    guarantees = section(page_text("publish-to-a-store.md"), "What a store guarantees")
    assert {"create_once", "compare_and_swap", "server_digest", "resume"} <= code_words(guarantees)
    rows = re.findall(r"^\| (\w[\w ]*?) \|.*\|$", guarantees, re.M)
    assert rows == [
        "Folder",
        "WebDAV",
        "Plain web server",
        "Nexus",
        "Artifactory",
        "GitHub",
        "GitLab",
        "OCI",
        "S3",
    ]


@pytest.mark.parametrize("url", sorted(values_of("--gateway")))
def test_every_documented_gateway_can_be_opened(url: str) -> None:
    if "://" in url:
        assert open_target(url)


def test_every_kind_of_gateway_is_documented() -> None:
    text = section(page_text("deploy-and-roll-back.md"), "Gateways before 8.3")
    shown = re.findall(r"^\| .*? \| `(\S+)`(?: and `--gateway-manifest (\S+)`)? \|", text, re.M)
    schemes = set()
    for location, manifest in shown:
        access = GatewayAccess(manifest=Path(manifest) if manifest else None)
        assert open_target(location, access=access)
        schemes.add(location.partition("://")[0] if "://" in location else "file")
    assert schemes == {"https", "developer+http", "file"}
