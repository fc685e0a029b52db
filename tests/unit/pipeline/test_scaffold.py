"""The first files of a project."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
import yaml

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.pipeline.scaffold import (
    CiHost,
    Survey,
    next_steps,
    starter_files,
    survey_project,
    write_missing,
)
from tests.support.git import git
from tests.support.gitlab import commit

ENV = {"PATH": os.environ["PATH"]}


def project(folder: Path, *, remote: str = "", single: bool = True) -> Path:
    paths = ["module.xml"] if single else ["modules/pump/pom.xml", "modules/valve/gradlew"]
    for name in paths:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    git(folder, "init", "--quiet", "--initial-branch=trunk")
    if remote:
        git(folder, "remote", "add", "origin", remote)
    return folder


@pytest.mark.parametrize(
    ("remote", "host", "url"),
    [
        ("https://github.com/acme/pump.git", CiHost.GITHUB, "github://acme/pump"),
        ("https://user:token@github.com/acme/pump", CiHost.GITHUB, "github://acme/pump"),
        ("git@github.com:acme/pump.git", CiHost.GITHUB, "github://acme/pump"),
        ("ssh://git@github.com:22/acme/pump.git", CiHost.GITHUB, "github://acme/pump"),
        (
            "git@gitlab.example.com:plant/line/pump.git",
            CiHost.GITLAB,
            "gitlab://gitlab.example.com/plant/line/pump",
        ),
        ("git@github.com:/acme/pump.git", CiHost.GITHUB, "github://acme/pump"),
        ("ssh://git@ssh.github.com:443/acme/pump.git", CiHost.GITHUB, "github://acme/pump"),
        ("ssh://git@altssh.gitlab.com:443/a/b", CiHost.GITLAB, "gitlab://gitlab.com/a/b"),
        ("ssh://git@gitlab.example.com:2222/a/b", CiHost.GITLAB, "gitlab://gitlab.example.com/a/b"),
        (
            "https://gitlab.example.com:8443/a/b.git",
            CiHost.GITLAB,
            "gitlab://gitlab.example.com:8443/a/b",
        ),
        # Only github.com is github:// without more ado.
        ("https://github.example.com/acme/pump.git", CiHost.GITHUB, "module-repository"),
    ],
)
def test_the_remote_names_host_and_repository(
    tmp_path: Path, remote: str, host: CiHost, url: str
) -> None:
    survey = survey_project(project(tmp_path, remote=remote), ENV)
    assert survey.ci_host is host
    assert survey.default_url(host) == url
    assert survey.branch == "trunk"


@pytest.mark.parametrize(
    "remote",
    [
        "",
        "/srv/git/pump.git",
        "https://[",
        "file:///srv/x",
        "C:\\pump",
        "ext::sh -c evil",
        "https://",
        "https://github.com:x/acme/pump",
    ],
)
def test_a_remote_that_says_nothing_is_no_host(tmp_path: Path, remote: str) -> None:
    survey = survey_project(project(tmp_path, remote=remote), ENV)
    assert survey.ci_host is None
    assert survey.default_url(CiHost.GITHUB) == "module-repository"


def test_files_of_a_host_count_more_than_the_remote(tmp_path: Path) -> None:
    folder = project(tmp_path, remote="git@github.com:acme/pump.git")
    (folder / "Jenkinsfile").touch()
    assert survey_project(folder, ENV).ci_host is CiHost.JENKINS


def test_without_git_there_is_no_remote(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").touch()
    for env in (ENV, {"PATH": "/nowhere"}):
        survey = survey_project(tmp_path, env)
        assert (survey.ci_host, survey.branch, survey.remote) == (None, "", ("", ""))


def test_an_empty_folder_is_no_project(tmp_path: Path) -> None:
    with pytest.raises(PackagingError, match="nothing to release here"):
        survey_project(tmp_path, ENV)


def test_below_the_root_of_the_repository_nothing_is_written(tmp_path: Path) -> None:
    folder = project(tmp_path, single=False)
    with pytest.raises(ConfigurationError, match="not its root"):
        survey_project(folder / "modules", ENV)


@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("host", CiHost)
def test_files_are_complete_and_valid(tmp_path: Path, host: CiHost, single: bool) -> None:
    survey = survey_project(project(tmp_path, single=single), ENV)
    files = starter_files(survey, host, "github://acme/pump")
    settings = tomllib.loads(files["ign-deploy.toml"])
    assert settings["repository-url"] == "github://acme/pump"
    assert settings["protected-branch"] == ["trunk"]
    assert ("tag-pattern" in settings) == single
    (workflow,) = (text for name, text in files.items() if name != "ign-deploy.toml")
    if host is not CiHost.JENKINS:
        assert yaml.safe_load(workflow)
    assert "@TAG@" not in workflow.replace("@v", "")
    assert ("batch" in workflow) != single


def test_no_text_breaks_out_of_the_config_file(tmp_path: Path) -> None:
    folder = project(tmp_path)
    git(folder, "symbolic-ref", "HEAD", 'refs/heads/a"]$(id)')
    url = 'C:\\x"\n[[gateways]]\u2028\x7f\U0001f600'
    files = starter_files(survey_project(folder, ENV), CiHost.GITHUB, url)
    settings = tomllib.loads(files["ign-deploy.toml"])
    assert settings["repository-url"] == url
    assert settings["protected-branch"] == ['a"]$(id)']
    assert "gateways" not in settings


def test_what_exists_is_kept_also_as_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "ign-deploy.toml").write_text("mine")
    (tmp_path / "Jenkinsfile").symlink_to(tmp_path / "nowhere")
    files = {"ign-deploy.toml": "new", "Jenkinsfile": "new", "a/b": "new"}
    assert write_missing(files, tmp_path) == (["a/b"], ["ign-deploy.toml", "Jenkinsfile"])
    assert (tmp_path / "ign-deploy.toml").read_text() == "mine"
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "a" / "b").read_text() == "new"


def test_a_file_in_the_place_of_the_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / ".github").touch()
    with pytest.raises(ConfigurationError, match=r"cannot create .*release\.yml"):
        write_missing({".github/workflows/release.yml": "x"}, tmp_path)


def commands_of(survey: Survey, host: CiHost = CiHost.GITHUB) -> list[str]:
    return [command for step in next_steps(survey, host) for command in step.commands]


def test_a_missing_wrapper_is_a_step_and_is_committed(tmp_path: Path) -> None:
    folder = project(tmp_path, remote="git@github.com:acme/pump.git")
    (folder / "build.gradle").touch()
    write_missing(starter_files(survey_project(folder, ENV), CiHost.GITHUB, "x"), folder)
    commit(folder)
    survey = survey_project(folder, ENV)
    assert survey.lacks_wrapper == (Path(),)
    assert commands_of(survey)[-5:] == [
        "gradle wrapper",
        "git add gradlew gradle",
        'git commit -m "Release with ign-deploy"',
        "git tag v1.2.3",
        "git push origin HEAD v1.2.3",
    ]
    (folder / "gradlew").touch()
    survey = survey_project(folder, ENV)
    assert survey.lacks_wrapper == ()
    # The files are committed already: an empty commit would fail.
    assert commands_of(survey)[-2:] == ["git tag v1.2.3", "git push origin HEAD v1.2.3"]
    assert "git commit" not in str(commands_of(survey))


def test_the_wrapper_of_one_of_several_projects_is_its_own(tmp_path: Path) -> None:
    folder = project(tmp_path, single=False)
    (folder / "line 3").mkdir()
    (folder / "line 3" / "build.gradle").touch()
    commands = commands_of(survey_project(folder, ENV))
    assert "gradle -p 'line 3' wrapper" in commands
    assert "git add 'line 3/gradlew' 'line 3/gradle'" in commands


def test_files_of_an_earlier_run_are_committed_still(tmp_path: Path) -> None:
    folder = project(tmp_path)
    write_missing(starter_files(survey_project(folder, ENV), CiHost.GITHUB, "x"), folder)
    commands = commands_of(survey_project(folder, ENV))
    assert "git add ign-deploy.toml .github/workflows/release.yml" in commands


def test_what_git_lacks_comes_first(tmp_path: Path) -> None:
    (tmp_path / "module.xml").touch()
    first = next_steps(survey_project(tmp_path, ENV), CiHost.GITHUB)[0]
    assert first.commands == ("git init -b main", "git add .", "git remote add origin URL")
    folder = project(tmp_path)
    first = next_steps(survey_project(folder, ENV), CiHost.GITHUB)[0]
    assert first.commands == ("git remote add origin URL",)
    for url in ("git@github.com:acme/pump.git", "/srv/git/pump.git"):
        git(folder, "config", "remote.origin.url", url)
        first = next_steps(survey_project(folder, ENV), CiHost.GITHUB)[0]
        assert "git remote" not in str(first.commands)


@pytest.mark.parametrize(("single", "tags"), [(True, "v*"), (False, "release-*")])
def test_the_tags_to_protect_are_those_that_release(
    tmp_path: Path, single: bool, tags: str
) -> None:
    steps = next_steps(survey_project(project(tmp_path, single=single), ENV), CiHost.GITLAB)
    assert any(f"protect the tags {tags} " in step.text for step in steps)
    assert steps[-1].commands[-1].rpartition(" ")[2].startswith(tags.removesuffix("*"))


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A foreign checkout may contain one."""
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "project"
    elsewhere.mkdir()
    folder.mkdir()
    (folder / ".github").symlink_to(elsewhere, target_is_directory=True)
    with pytest.raises(ConfigurationError, match="outside of this folder, through a link"):
        write_missing({"ign-deploy.toml": "x", ".github/workflows/release.yml": "x"}, folder)
    assert list(elsewhere.iterdir()) == []
    assert not (folder / "ign-deploy.toml").exists()
