"""Decisions and matrices of a plan, from within."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from ign_deploy.ci.host import Host
from ign_deploy.ci.mask import Masker
from ign_deploy.cli.formatting import json_line
from ign_deploy.cli.plan import matrix
from ign_deploy.errors import ConfigurationError, IgnDeployError, RepositoryError
from ign_deploy.module.dependencies import Needs
from ign_deploy.packaging.identify import KnownModule, identify
from ign_deploy.packaging.isolation import IsolationError
from ign_deploy.packaging.project import detect_project
from ign_deploy.pipeline.package import protected_paths
from ign_deploy.pipeline.plan import Decision, decide, make_plan
from ign_deploy.repositories import Repository
from ign_deploy.repositories.backends import open_repository
from tests.support.build_user import add_build_user, as_root, owned, reachable_folder
from tests.support.builds import PATH, gradle_wrapper, script
from tests.support.git import git
from tests.support.modules import build_module
from tests.support.pages import blocks
from tests.support.releases import release_of
from tests.support.runs import run_context

ENV = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
PUMP = KnownModule("com.example.pump", "1.0.0", "Pump")
TANK = KnownModule("com.example.tank", name="Tank")


def store(tmp_path: Path, *published: tuple[str, str]) -> Repository:
    """Return a repository with these ids and versions."""
    repository = open_repository(str(tmp_path / "repository"))
    for module_id, version in published:
        release, files = release_of(tmp_path / "files", module_id=module_id, version=version)
        repository.publish(release, files=files)
    return repository


def decision(path: str, *modules: KnownModule, needs_release: bool = True) -> Decision:
    return Decision(Path(path), modules, needs_release=needs_release, reason="because")


def test_a_path_needs_a_release_when_one_of_its_modules_does(tmp_path: Path) -> None:
    repository = store(tmp_path, ("com.example.pump", "1.0.0"))
    found = decide(tmp_path, (PUMP,), repository=repository, git=None)
    assert not found.needs_release
    found = decide(tmp_path, (PUMP, TANK), repository=repository, git=None)
    assert found.needs_release
    assert found.reason == "no version of com.example.tank is published"


def test_without_git_and_version_the_path_needs_a_release(tmp_path: Path) -> None:
    repository = store(tmp_path, ("com.example.tank", "1.0.0"))
    found = decide(tmp_path, (TANK,), repository=repository, git=None)
    assert found.needs_release
    assert "the path is not in git" in found.reason


def test_a_path_whose_modules_are_unknown_needs_a_release(tmp_path: Path) -> None:
    assert decide(tmp_path, (), repository=store(tmp_path), git=None).needs_release


def test_a_repository_that_does_not_answer_is_an_error_not_a_plan(tmp_path: Path) -> None:
    module = build_module(tmp_path / "pump.modl")
    (tmp_path / "repository").write_text("no folder")
    context = run_context(ENV, repository_url=str(tmp_path / "repository"))
    with pytest.raises(RepositoryError):
        make_plan([module], context)


def test_a_build_tool_cannot_lead_git_to_another_repository(tmp_path: Path) -> None:
    """There, nothing has changed since the release."""
    main, root = tmp_path / "main", tmp_path / "project"
    (tmp_path / "list").write_text(json.dumps([{"id": "com.example.tank"}]))
    find = 'for word; do case "$word" in -Dign.deploy.modules=*) list=${word#*=};; esac; done'
    lead = f"echo 'gitdir: {tmp_path}/foreign/.git' >.git"
    gradle_wrapper(main, find, 'cp ../list "$list"', lead)
    git(main, "init", "--quiet")
    git(main, "add", ".")
    git(main, "commit", "--quiet", "--message", "released")
    commit = git(main, "rev-parse", "HEAD")
    git(tmp_path, "clone", "--quiet", str(main), "foreign")
    (main / "new").touch()
    git(main, "add", ".")
    git(main, "commit", "--quiet", "--message", "changed")
    git(main, "worktree", "add", "--quiet", str(root))
    release, files = release_of(tmp_path / "files", module_id="com.example.tank", commit=commit)
    open_repository(str(tmp_path / "repository")).publish(release, files=files)
    context = run_context(
        {"PATH": PATH, "HOME": str(tmp_path)}, repository_url=str(tmp_path / "repository")
    )
    (found,) = make_plan([root], context)
    assert "foreign" in (root / ".git").read_text()
    assert found.needs_release, found.reason
    assert "changed since its commit" in found.reason


@as_root
def test_a_build_tool_cannot_change_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_build_user(monkeypatch, tmp_path)
    with reachable_folder() as folder:
        root = gradle_wrapper(
            folder / "project", "echo evil 2>/dev/null >repository/index.json || true", "touch ran"
        )
        (root / "repository").mkdir()
        (root / "repository" / "index.json").write_text("ours")
        owned(root)
        env = {"PATH": PATH, "HOME": "/nonexistent"}
        context = run_context(env, repository_url=str(root / "repository"))
        identify(
            detect_project(root, env=env),
            env=env,
            timeout=60,
            isolate="require",
            protected=protected_paths(context),
        )
        assert (root / "ran").exists()
        assert (root / "repository" / "index.json").read_text() == "ours"


@pytest.mark.parametrize("kind", [ConfigurationError, IsolationError])
def test_a_build_that_cannot_be_isolated_is_an_error_not_a_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[IgnDeployError]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise kind("the build can't be isolated: no user", hint="drop --isolate require.")

    monkeypatch.setattr("ign_deploy.packaging.identify.choose_isolation", fail)
    project = script(tmp_path / "project" / "gradlew", "exit 0").parent
    (project / "settings.gradle").touch()
    context = run_context(ENV, repository_url=str(tmp_path / "repository"))
    with pytest.raises(kind, match=r"project: the build can't be isolated: no user"):
        make_plan([project], context)


def test_an_empty_plan_is_a_matrix_that_each_host_can_read() -> None:
    left = [decision("a", PUMP, needs_release=False)]
    assert matrix(left, host=Host.GITHUB) == {"include": []}
    assert matrix(left, host=Host.GITLAB) == []
    assert matrix(left, host=Host.JENKINS) == []


def test_several_modules_of_a_path_are_one_entry() -> None:
    (entry,) = matrix([decision("both", PUMP, TANK)], host=Host.JENKINS)
    assert entry == {
        "path": "both",
        "id": "com.example.pump com.example.tank",
        "version": "1.0.0",
        "name": "Pump, Tank",
    }


@pytest.mark.parametrize(
    "decisions",
    [[decision("it's $a: {x}", PUMP), decision("b", TANK)], [decision("a", needs_release=False)]],
)
def test_the_documented_child_pipeline_is_made_of_gitlabs_matrix(
    decisions: list[Decision], tmp_path: Path
) -> None:
    value = matrix(decisions, host=Host.GITLAB)
    line = json_line(value, masker=Masker())
    (tmp_path / "line").write_text(line)
    script(tmp_path / "bin" / "ign-deploy", "cat line")
    (block,) = [
        yaml.safe_load(item.text)
        for item in blocks("yaml")
        if item.page.endswith("batch-and-matrix.md") and "child.yml" in item.text
    ]
    env = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "CI_JOB_IMAGE": "example/image:1"}
    for command in block["plan"]["script"]:
        subprocess.run(["bash", "-euc", command], cwd=tmp_path, env=env, check=True, timeout=60)
    child = yaml.safe_load((tmp_path / "child.yml").read_text())
    if not value:
        assert child == {"nothing": {"script": ["true"]}}
        return
    job = child["release"]
    assert job["parallel"]["matrix"] == value
    assert job["script"] == ['ign-deploy module -- "$MODULE_PATH"']
    assert job["image"] == "example/image:1"


def test_paths_follow_the_last_of_their_modules(tmp_path: Path) -> None:
    """Path ab holds two modules, one of which needs another path's, which needs the other."""
    from ign_deploy.pipeline.plan import _in_order

    first = dataclasses.replace(PUMP, id="a", needs=Needs(frozenset({"x"})))
    second = dataclasses.replace(PUMP, id="b")
    middle = dataclasses.replace(PUMP, id="x", needs=Needs(frozenset({"b"})))
    decisions = [decision("ab", first, second), decision("unknown"), decision("x", middle)]
    assert [str(each.path) for each in _in_order(decisions)] == ["unknown", "x", "ab"]
