"""Plans through the command line, in real git checkouts beside a real repository."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.builds import EXAMPLE, gradle_wrapper
from tests.support.cli import KEY, CliWorkspace, Result
from tests.support.git import git
from tests.support.modules import bare_folder, build_module
from tests.support.runner import ACTION, Runner


def module_project(root: Path, name: str, *needs: str, version: str = "1.2.3") -> Path:
    """Make a project without build files."""
    extra = "".join(f'<depends scope="G">com.example.{need}</depends>' for need in needs)
    texts = {"id": f"com.example.{name}", "name": name.title(), "version": version}
    return bare_folder(root / name, texts=texts, extra=extra)


def commit(workspace: CliWorkspace) -> str:
    git(workspace.folder, "add", "--", "modules")
    git(workspace.folder, "commit", "-q", "-m", "a change")
    return git(workspace.folder, "rev-parse", "HEAD")


@pytest.fixture
def checkout(workspace: CliWorkspace) -> CliWorkspace:
    """A checkout with three modules, of which ``a`` needs ``b``, and ``b`` needs ``c``."""
    git(workspace.folder, "init", "-q", "-b", "main")
    for name, needs in (("a", ["b"]), ("b", ["c"]), ("c", [])):
        module_project(workspace.folder / "modules", name, *needs)
    commit(workspace)
    return workspace


PATHS = ("modules/a", "modules/b", "modules/c")


def plan(workspace: CliWorkspace, *arguments: str | Path, **more: dict[str, str]) -> Result:
    return workspace.call("plan", *arguments, **more).must(0)


def wanted(result: Result) -> list[str]:
    """Return the last parts of the paths in GitHub's matrix, in its order."""
    matrix = json.loads(result.stdout)
    return [Path(each["path"]).name for each in matrix["include"]]


def publish(workspace: CliWorkspace, *paths: str) -> None:
    head = git(workspace.folder, "rev-parse", "HEAD")
    workspace.call("batch", *paths, *KEY, env={"GITHUB_SHA": head}).must(0)


def test_what_was_never_published_is_planned_in_dependency_order(checkout: CliWorkspace) -> None:
    result = plan(checkout, *PATHS)
    assert json.loads(result.stdout) == {
        "include": [
            {
                "path": f"modules/{name}",
                "id": f"com.example.{name}",
                "version": "1.2.3",
                "name": name.upper(),
            }
            for name in "cba"
        ]
    }
    assert result.stdout.count("\n") == 1
    assert "release modules/c: no version of com.example.c is published" in result.stderr
    assert not checkout.repository.exists()


def test_what_is_published_and_unchanged_is_skipped(checkout: CliWorkspace) -> None:
    publish(checkout, *PATHS)
    result = plan(checkout, *PATHS)
    assert result.stdout == '{"include":[]}\n'
    assert result.stderr.count("unchanged since its commit") == 3


def test_only_what_changed_is_planned(checkout: CliWorkspace) -> None:
    publish(checkout, *PATHS)
    module_project(checkout.folder / "modules", "b", "c", version="1.3.0")
    (checkout.folder / "modules/c/doc/index.html").write_text("new")
    commit(checkout)
    result = plan(checkout, *PATHS)
    assert wanted(result) == ["c", "b"]
    assert "com.example.b 1.3.0 isn't published; the newest is 1.2.3" in result.stderr
    assert "but 1.2.3 is already published: raise the version" in result.stderr


def test_the_config_file_chooses_paths_wherever_the_command_runs(checkout: CliWorkspace) -> None:
    (checkout.folder / "modules" / "docs").mkdir()
    config = checkout.folder / "ign-deploy.toml"
    config.write_text('paths = ["modules/[bd]*", "modules/c"]\n')
    found = plan(checkout)
    assert wanted(found) == ["c", "b"]
    assert "modules/docs is left out: no Gradle or Maven build, no module.xml" in found.stderr
    below = CliWorkspace(checkout.folder / "modules")
    assert wanted(plan(below, "--config", "../ign-deploy.toml")) == ["c", "b"]
    assert wanted(plan(checkout, "modules/a")) == ["a"]


def test_a_file_that_is_taken_back_has_not_changed(checkout: CliWorkspace) -> None:
    publish(checkout, *PATHS)
    page = checkout.folder / "modules/c/doc/index.html"
    before = page.read_bytes()
    for content in (b"new", before):
        page.write_bytes(content)
        commit(checkout)
    assert wanted(plan(checkout, *PATHS)) == []


def test_all_can_be_requested(checkout: CliWorkspace) -> None:
    publish(checkout, *PATHS)
    assert wanted(plan(checkout, *PATHS, "--all")) == ["c", "b", "a"]


def test_a_shallow_clone_plans_what_it_cannot_compare_and_says_why(checkout: CliWorkspace) -> None:
    publish(checkout, *PATHS)
    (checkout.folder / "modules/readme").write_text("of no module")
    commit(checkout)
    clone = checkout.folder / "clone"
    url = f"file://{checkout.folder}"
    git(checkout.folder, "clone", "-q", "--depth", "1", url, str(clone))
    repository = ("--repository-url", str(checkout.repository))
    shallow = plan(CliWorkspace(clone), *PATHS, *repository)
    assert wanted(shallow) == ["c", "b", "a"]
    assert "it is shallow" in shallow.stderr
    assert "fetch-depth: 0" in shallow.stderr
    git(clone, "fetch", "-q", "--unshallow")
    assert wanted(plan(CliWorkspace(clone), *PATHS, *repository)) == []


def test_a_release_from_another_branch_is_no_base(checkout: CliWorkspace) -> None:
    git(checkout.folder, "checkout", "-q", "-b", "side")
    (checkout.folder / "modules/readme").write_text("of no module")
    commit(checkout)
    publish(checkout, *PATHS)
    git(checkout.folder, "checkout", "-q", "main")
    result = plan(checkout, *PATHS)
    assert wanted(result) == ["c", "b", "a"]
    assert "isn't an ancestor of the checked-out one" in result.stderr


def test_a_release_without_a_commit_is_compared_with_its_tag(checkout: CliWorkspace) -> None:
    """It was made on a developer's machine, where no CI host says which commit it is."""
    checkout.call("batch", *PATHS, *KEY).must(0)
    config = checkout.folder / "ign-deploy.toml"
    config.write_text('tag-pattern = "rel-{version}"\n')
    for advice in ("no tag rel-1.2.3", "no commit to compare with"):
        result = plan(checkout, *PATHS)
        assert wanted(result) == ["c", "b", "a"]
        assert result.stderr.count(advice) == 3
        # Nothing shows that they changed.
        assert "raise the version" not in result.stderr
    git(checkout.folder, "tag", "-a", "-m", "released", "rel-1.2.3")
    assert plan(checkout, *PATHS).stderr.count("unchanged since its tag rel-1.2.3") == 3
    (checkout.folder / "modules/c/doc/index.html").write_text("new")
    commit(checkout)
    result = plan(checkout, *PATHS)
    assert wanted(result) == ["c"]
    assert "changed since its tag rel-1.2.3; but 1.2.3 is already" in result.stderr


def test_the_usual_tag_counts_for_the_only_project(checkout: CliWorkspace) -> None:
    """Of several projects, v1.2.3 may be another one's."""
    checkout.call("batch", *PATHS, *KEY).must(0)
    git(checkout.folder, "tag", "v1.2.3")
    assert wanted(plan(checkout, "modules/c")) == []
    assert wanted(plan(checkout, *PATHS)) == ["c", "b", "a"]


def test_only_what_a_branch_changes_has_to_have_another_version(checkout: CliWorkspace) -> None:
    checkout.call("batch", *PATHS, *KEY).must(0)
    git(checkout.folder, "checkout", "-q", "-b", "side")
    (checkout.folder / "modules/c/doc/index.html").write_text("new")
    commit(checkout)
    result = plan(checkout, *PATHS, env={"GITHUB_BASE_REF": "main"})
    assert wanted(result) == ["c", "b", "a"]
    assert result.stderr.count("raise the version") == 1
    assert "changed since it left main; but 1.2.3 is already" in result.stderr
    assert result.stderr.count("doesn't change it, since it left main") == 2


@pytest.mark.parametrize("recorded", ["", "--output=pwned", "HEAD", "0" * 40])
def test_a_record_without_a_usable_commit_is_planned(checkout: CliWorkspace, recorded: str) -> None:
    checkout.call("batch", *PATHS, *KEY, env={"GITHUB_SHA": recorded}).must(0)
    assert wanted(plan(checkout, *PATHS)) == ["c", "b", "a"]
    assert not (checkout.folder / "pwned").exists()
    assert not list(checkout.folder.rglob("pwned"))


def test_built_files_that_git_does_not_know_are_planned_by_version(workspace: CliWorkspace) -> None:
    build_module(workspace.folder / "built.modl", texts={"id": "com.example.built"})
    assert wanted(plan(workspace, "built.modl")) == ["built.modl"]
    workspace.release(path="built.modl").must(0)
    assert wanted(plan(workspace, "built.modl")) == []
    build_module(
        workspace.folder / "built.modl", texts={"id": "com.example.built", "version": "2.0.0"}
    )
    assert wanted(plan(workspace, "built.modl")) == ["built.modl"]


def test_names_that_git_or_a_shell_would_obey_are_names(workspace: CliWorkspace) -> None:
    """Each folder is published; then one of them changes, and only that one counts."""
    names = ["--help", "*", ":(top)x", "$(touch pwned)", "a b"]
    git(workspace.folder, "init", "-q")
    for number, name in enumerate(names):
        made = module_project(workspace.folder / "modules", f"m{number}")
        made.rename(workspace.folder / "modules" / name)
    commit(workspace)
    folder = CliWorkspace(workspace.folder / "modules")
    key = [f"../{word}" if word.endswith(".pem") else word for word in KEY]
    # Made at once, so that the folder with built modules isn't below a path.
    store = ("--repository-url", "../store", "-o", "../dist")
    head = git(workspace.folder, "rev-parse", "HEAD")
    for name in names:
        command = ("module", *key, *store, "--", name)
        folder.call(*command, env={"GITHUB_SHA": head}).must(0)
    (workspace.folder / "modules" / "*" / "doc" / "index.html").write_text("new")
    commit(workspace)
    result = plan(folder, *store[:2], "--", *names)
    assert wanted(result) == ["*"]
    assert not list(workspace.folder.rglob("pwned"))


def test_each_host_gets_its_own_form(checkout: CliWorkspace) -> None:
    gitlab = json.loads(plan(checkout, "modules/c", "--for", "gitlab").stdout)
    assert gitlab == [
        {"MODULE_PATH": "modules/c", "MODULE_ID": "com.example.c", "MODULE_VERSION": "1.2.3"}
    ]
    jenkins = json.loads(plan(checkout, "modules/c", "--for", "jenkins").stdout)
    assert jenkins == json.loads(plan(checkout, "modules/c").stdout)["include"]
    for env, form in (({"GITLAB_CI": "true"}, gitlab), ({"JENKINS_URL": "http://x"}, jenkins)):
        assert json.loads(plan(checkout, "modules/c", env=env).stdout) == form


def test_a_dollar_is_no_variable_on_gitlab(workspace: CliWorkspace) -> None:
    module_project(workspace.folder, "x").rename(workspace.folder / "$HOME")
    (entry,) = json.loads(plan(workspace, "$HOME", "--for", "gitlab").stdout)
    assert entry["MODULE_PATH"] == "$$HOME"


def test_github_gets_the_matrix_as_an_output(checkout: CliWorkspace) -> None:
    files = {name: str(checkout.folder / name) for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    result = plan(checkout, *PATHS, env={"GITHUB_ACTIONS": "true", **files})
    output = (checkout.folder / "GITHUB_OUTPUT").read_text()
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("matrix"))
    assert lines[start + 1] == result.stdout.strip()


def test_the_decisions_are_in_the_json(checkout: CliWorkspace) -> None:
    publish(checkout, "modules/c")
    document: dict[str, Any] = plan(checkout, *PATHS, "--json").document
    assert document["result"] == "planned"
    assert [(each["path"], each["release"]) for each in document["decisions"]] == [
        ("modules/c", False),
        ("modules/b", True),
        ("modules/a", True),
    ]
    assert all(each["reason"] for each in document["decisions"])
    assert len(document["matrix"]["include"]) == 2


def test_every_path_that_is_no_project_is_named(checkout: CliWorkspace) -> None:
    result = checkout.call("plan", "gone", "modules/a", "dist", "--json").must(3)
    messages = [each["message"] for each in result.document["error"]["findings"]]
    assert len(messages) == 2
    assert "gone" in messages[0]


def test_one_id_on_two_paths_is_rejected(checkout: CliWorkspace) -> None:
    module_project(checkout.folder / "again", "c")
    refused = checkout.call("plan", "modules/c", "again/c").must(5)
    assert "modules/c and again/c share the id" in refused.stderr
    assert "two lines of Ignition, give each its own version" in refused.stderr


def test_a_circle_is_rejected(checkout: CliWorkspace) -> None:
    module_project(checkout.folder / "modules", "c", "a")
    assert "in a circle" in checkout.call("plan", *PATHS).must(5).stderr


@pytest.mark.long
def test_gradle_tells_its_modules_without_building_them(workspace: CliWorkspace) -> None:
    project = workspace.folder / "project"
    shutil.copytree(EXAMPLE, project, ignore=shutil.ignore_patterns("build", ".gradle", "dist"))
    module_project(workspace.folder, "zebra", "none")
    (entry,) = json.loads(plan(workspace, "project").stdout)["include"]
    assert entry == {
        "path": "project",
        "id": "com.example.shiftclock",
        "version": "1.0.0",
        "name": "Shift Clock",
    }
    assert not (project / "build").exists()


def test_a_build_that_tells_nothing_is_planned_with_the_reason(workspace: CliWorkspace) -> None:
    project = gradle_wrapper(workspace.folder / "project", "exit 3")
    result = plan(workspace, project)
    assert wanted(result) == ["project"]
    assert "unknown: Gradle failed to list its modules (exit code 3)" in result.stderr
    maven = workspace.folder / "maven"
    maven.mkdir()
    (maven / "pom.xml").write_text("<project/>")
    (maven / "mvnw").write_text("exit 1")
    assert "only known once they are built" in plan(workspace, maven).stderr
    build_module(maven / "target" / "x.modl", texts={"id": "com.example.maven"})
    assert json.loads(plan(workspace, maven).stdout)["include"][0]["id"] == "com.example.maven"


def test_the_action_hands_the_matrix_to_later_jobs(tmp_path: Path) -> None:
    runner = Runner(tmp_path / "runner")
    for name, needs in (("##[add-path]x", ["b"]), ("b", [])):
        made = module_project(runner.workspace, f"m{len(needs)}")
        made.rename(runner.workspace / name)
    result = runner.run({"command": "plan", "path": "##[add-path]x\nb", "all": "true"})
    assert result.succeeded, (result.problems, result.log)
    assert result.outputs.keys() <= ACTION["outputs"].keys()
    matrix = json.loads(result.outputs["matrix"])
    assert [each["path"] for each in matrix["include"]] == ["##[add-path]x", "b"]
    assert result.outputs["result"] == "planned"
    assert not [command for command in result.commands if "add-path" in command.name]
