"""What a release record says beside the module: notes, commit and build."""

from __future__ import annotations

from pathlib import Path

import pytest
from ign_deploy.pipeline.publishing import build_of, commit_of, read_notes, repository_url

from ign_deploy.errors import ConfigurationError
from ign_deploy.settings import Settings

GITHUB = {
    "GITHUB_SHA": "a" * 40,
    "GITHUB_REF": "refs/tags/v1",
    "GITHUB_RUN_ID": "7",
    "GITHUB_ACTOR": "me",
    "GITHUB_REPOSITORY": "org/modules",
    "GITHUB_SERVER_URL": "https://github.com",
}


def test_notes_are_text_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "NOTES.md"
    path.write_text("# Grüße\n", encoding="utf-8")
    assert read_notes(Settings(notes=str(path))) == "# Grüße\n"
    for text in ("", "just text", "two\nlines", str(tmp_path), "x" * 5000, "n" * 300):
        assert read_notes(Settings(notes=text)) == text


def test_notes_that_can_not_be_read_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "NOTES.md"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match=r"NOTES\.md"):
        read_notes(Settings(notes=str(path)))
    path.write_text("x" * ((512 << 10) + 1))
    for notes in (str(path), "x\n" * (300 << 10)):
        with pytest.raises(ConfigurationError, match="more than"):
            read_notes(Settings(notes=notes))


def test_the_commit_is_the_one_the_host_builds() -> None:
    assert commit_of(GITHUB) == "a" * 40
    assert commit_of({"CI_COMMIT_SHA": "b"}) == "b"
    assert commit_of({"GIT_COMMIT": "c"}) == "c"
    assert commit_of({}) == ""


def test_the_build_is_described_by_what_the_host_shows_in_public() -> None:
    assert build_of({}, Settings()) == {}
    assert build_of({**GITHUB, "GITHUB_TOKEN": "s3cret"}, Settings(environment="test")) == {
        "ref": "refs/tags/v1",
        "run": "7",
        "url": "https://github.com/org/modules/actions/runs/7",
        "actor": "me",
        "source": "org/modules",
        "environment": "test",
    }
    assert build_of({"CI_JOB_ID": "1", "CI_JOB_URL": "https://x/1"}, Settings()) == {
        "run": "1",
        "url": "https://x/1",
    }


def test_the_repository_has_a_default() -> None:
    assert repository_url(Settings()) == "module-repository"
    assert repository_url(Settings(repository_url="shelf")) == "shelf"
