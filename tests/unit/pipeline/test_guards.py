"""Release guards: each refuses with its reason; names of tags and branches stay data."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import ConfigurationError, VersionConflict
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.guards import (
    check_branch,
    check_tag,
    check_unpublished,
    release_tag,
    version_of_tag,
    with_tag_version,
)
from tests.support.git import git
from tests.support.releases import release_of
from tests.support.runs import run_context

HOSTILE = ["$(touch x)", "`touch x`", "v1.0.0;touch x", "v1.0.0\nv2.0.0", "v1.0.0' \"", "--help"]


ENV = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose ``main`` has two commits, and a branch beside it with a third."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    for number in (1, 2):
        (folder / "file").write_text(str(number))
        git(folder, "add", "file")
        git(folder, "commit", "-q", "-m", f"commit {number}")
    git(folder, "checkout", "-q", "-b", "wild/idea")
    (folder / "file").write_text("3")
    git(folder, "commit", "-q", "-am", "commit 3")
    return folder


class TestTag:
    @pytest.mark.parametrize(
        ("pattern", "tag", "version"),
        [
            ("v{version}", "v1.2.3", "1.2.3"),
            ("mcp-v{version}", "mcp-v1.2.3-rc1", "1.2.3-rc1"),
            ("{version}", "1.2.3.4", "1.2.3.4"),
            ("release/{version}/final", "release/1.2.3/final", "1.2.3"),
        ],
    )
    def test_the_version_is_taken_out_of_the_tag(
        self, pattern: str, tag: str, version: str
    ) -> None:
        assert version_of_tag(pattern, tag) == version

    @pytest.mark.parametrize(
        ("pattern", "tag", "reason"),
        [
            ("v{version}", "", "no tag given"),
            ("v{version}", "1.2.3", "doesn't match the pattern"),
            ("mcp-v{version}", "v1.2.3", "doesn't match the pattern"),
            ("v{version}", "v1.0.0-alpha.1", "no installable version"),
            ("v", "v1.2.3", "exactly once"),
            ("{version}{version}", "1.2.31.2.3", "exactly once"),
            ("v.{version}", "vx1.2.3", "doesn't match the pattern"),
        ],
    )
    def test_a_tag_that_does_not_fit_is_rejected_with_the_reason(
        self, pattern: str, tag: str, reason: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=reason) as caught:
            version_of_tag(pattern, tag)
        assert caught.value.hint

    @pytest.mark.parametrize("tag", HOSTILE)
    def test_a_hostile_tag_is_only_text(self, tag: str) -> None:
        with pytest.raises(ConfigurationError) as caught:
            version_of_tag("v{version}", tag)
        assert "\n" not in caught.value.message

    @pytest.mark.parametrize(
        "env",
        [
            {"GITHUB_REF": "refs/tags/v1.2.3"},
            {"CI_COMMIT_TAG": "v1.2.3"},
            {"TAG_NAME": "v1.2.3"},
        ],
    )
    def test_the_hosts_tag_is_found(self, env: dict[str, str]) -> None:
        assert release_tag(run_context(env)) == "v1.2.3"

    def test_a_branch_is_no_tag(self) -> None:
        assert release_tag(run_context({"GITHUB_REF": "refs/heads/v1.2.3"})) == ""

    def test_the_tags_version_becomes_the_one_to_be_built(self) -> None:
        context = with_tag_version(run_context(tag="v1.2.3", tag_pattern="v{version}"))
        assert context.settings.version == "1.2.3"

    @pytest.mark.parametrize(
        ("tag", "pattern"),
        [("refs/tags/v1.2.3", "v{version}"), ("v1.2.3", "refs/tags/v{version}")],
    )
    def test_tags_and_patterns_may_be_whole_refs(self, tag: str, pattern: str) -> None:
        context = with_tag_version(run_context(tag=tag, tag_pattern=pattern))
        assert context.settings.version == "1.2.3"
        check_tag(context)

    def test_a_version_that_is_written_as_its_tag_is_understood(self) -> None:
        context = run_context(tag="v1.2.3", tag_pattern="v{version}", version="v1.2.3")
        assert context.settings.version == "1.2.3"
        check_tag(context)

    def test_without_a_pattern_the_tag_means_nothing(self) -> None:
        assert with_tag_version(run_context(tag="v1.2.3")).settings.version == ""

    def test_tag_and_version_must_agree(self) -> None:
        context = run_context(tag="v1.2.3", tag_pattern="v{version}", version="1.2.4")
        with pytest.raises(ConfigurationError, match=r"1\.2\.4 was requested, .* is for 1\.2\.3"):
            check_tag(context)
        check_tag(context.with_settings(version="1.2.3"))


class TestBranch:
    def context(self, *branches: str) -> RunContext:
        return run_context(ENV, protected_branch=branches)

    def test_a_commit_on_the_branch_passes(self, checkout: Path) -> None:
        git(checkout, "checkout", "-q", "main~1")
        check_branch(checkout, self.context("main"))

    def test_a_commit_beside_the_branch_is_rejected(self, checkout: Path) -> None:
        with pytest.raises(ConfigurationError, match="is not on main"):
            check_branch(checkout, self.context("main"))

    def test_one_of_several_branches_is_enough(self, checkout: Path) -> None:
        check_branch(checkout, self.context("main", "wild/*"))

    def test_the_remotes_branch_counts_not_a_local_one_of_that_name(
        self, checkout: Path, tmp_path: Path
    ) -> None:
        git(tmp_path, "clone", "-q", "-b", "main", str(checkout), "clone")
        clone = tmp_path / "clone"
        (clone / "file").write_text("local")
        git(clone, "commit", "-q", "-am", "unpushed")
        with pytest.raises(ConfigurationError, match="is not on main"):
            check_branch(clone, self.context("main"))

    @pytest.mark.parametrize("name", ["refs/heads/main", "origin/main", "refs/remotes/origin/main"])
    def test_a_branch_may_be_written_as_git_does(
        self, checkout: Path, tmp_path: Path, name: str
    ) -> None:
        git(tmp_path, "clone", "-q", "-b", "main", str(checkout), "clone")
        clone = tmp_path / "clone"
        check_branch(clone, self.context(name))
        (clone / "file").write_text("local")
        git(clone, "commit", "-q", "-am", "unpushed")
        with pytest.raises(ConfigurationError, match=f"is not on {name}"):
            check_branch(clone, self.context(name))

    def test_a_pushed_branch_cannot_pose_as_the_remotes_branch(
        self, checkout: Path, tmp_path: Path
    ) -> None:
        git(checkout, "branch", "origin/main", "wild/idea")
        git(tmp_path, "clone", "-q", "-b", "origin/main", str(checkout), "clone")
        with pytest.raises(ConfigurationError, match="is not on origin/main"):
            check_branch(tmp_path / "clone", self.context("origin/main"))

    def test_a_shallow_clone_is_explained(self, checkout: Path, tmp_path: Path) -> None:
        url = f"file://{checkout}"
        git(tmp_path, "clone", "-q", "--depth=1", "-b", "wild/idea", url, "clone")
        clone = tmp_path / "clone"
        git(clone, "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
        with pytest.raises(ConfigurationError, match="the checkout is shallow") as caught:
            check_branch(clone, self.context("main"))
        assert "fetch-depth: 0" in caught.value.hint

    def test_a_project_without_a_commit_has_no_branch_to_fetch(self, tmp_path: Path) -> None:
        git(tmp_path, "init", "-q")
        with pytest.raises(ConfigurationError, match="has no branch main") as caught:
            check_branch(tmp_path, self.context("main"))
        assert caught.value.hint == "commit the project first."

    def test_an_unknown_branch_is_explained(self, checkout: Path) -> None:
        with pytest.raises(ConfigurationError, match="has no branch gone"):
            check_branch(checkout, self.context("gone"))

    @pytest.mark.parametrize("name", HOSTILE)
    def test_a_hostile_branch_name_is_only_text(self, checkout: Path, name: str) -> None:
        with pytest.raises(ConfigurationError):
            check_branch(checkout, self.context(name))
        assert sorted(path.name for path in checkout.iterdir()) == [".git", "file"]

    def test_a_folder_without_git_is_explained(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="not in a git checkout"):
            check_branch(tmp_path, self.context("main"))


class TestUnpublished:
    def test_a_published_version_is_rejected(self, tmp_path: Path) -> None:
        context = run_context(repository_url=str(tmp_path / "repository"))
        release, files = release_of(tmp_path / "files", module_id="a.b", version="1.0.0")
        context.repository.publish(release, files=files)
        check_unpublished([("a.b", "1.0.1")], context)
        with pytest.raises(VersionConflict, match=r"a\.b 1\.0\.0 is already published"):
            check_unpublished([("a.b", "1.0.0")], context)

    def test_a_repository_that_is_not_there_yet_has_published_nothing(self, tmp_path: Path) -> None:
        context = run_context(repository_url=str(tmp_path / "repository"))
        check_unpublished([("a.b", "1.0.0")], context)
        assert not (tmp_path / "repository").exists()
