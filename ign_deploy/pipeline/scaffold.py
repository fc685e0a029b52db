"""The first files of a project: a config file and the CI host's workflow, made from templates."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from ign_deploy.errors import ConfigurationError, PackagingError
from ign_deploy.files import explain_os_error
from ign_deploy.packaging.discovery import Discovery, find_projects
from ign_deploy.packaging.project import GRADLE_FILES
from ign_deploy.pipeline.git import Git
from ign_deploy.settings import CONFIG_FILE

_SCHEMA = "https://raw.githubusercontent.com/org/ign-deploy/v1/docs/ign-deploy.schema.json"
_PART = r"[\w.-]+"
# As git and ssh write it: git@github.com:owner/name.git
_REMOTE = re.compile(rf"(?:{_PART}@)?({_PART}):/?((?:{_PART}/)*{_PART})", re.ASCII)
# Where the hosts serve SSH on port 443, for networks that let nothing else through.
_HTTPS_HOSTS = {"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com"}
_WRAPPER = ("gradlew", "gradle")
_KEY_FOLDER = "~/ign-deploy-signing"
_IMAGE = "Build the image from ign-deploy's Dockerfile, target jdk, and push it to your registry."
_WRITABLE = "check that you may write here, and that no file is in the place of the folder."


class CiHost(StrEnum):
    """Where the project's pipelines run."""

    GITHUB = "github"
    GITLAB = "gitlab"
    JENKINS = "jenkins"


_WORKFLOWS = {
    CiHost.GITHUB: ".github/workflows/release.yml",
    CiHost.GITLAB: ".gitlab-ci.yml",
    CiHost.JENKINS: "Jenkinsfile",
}


@dataclass(frozen=True, slots=True)
class Survey:
    """What is known about a project before anything is written.

    ``remote`` is the host of the git remote and the path there, without credentials; ``branch`` the
    one that is released from. All are empty where there is no git, or no remote. ``lacks_wrapper``
    has the Gradle projects without a wrapper, ``committed`` what git has of the files to write.
    """

    discovery: Discovery
    remote: tuple[str, str]
    branch: str
    ci_host: CiHost | None
    lacks_wrapper: tuple[Path, ...]
    has_git: bool = False
    has_remote: bool = False
    committed: frozenset[str] = frozenset()

    @property
    def is_single(self) -> bool:
        """Whether the whole repository is one project."""
        return self.discovery.projects == (Path(),)

    def default_url(self, host: CiHost) -> str:
        """Return the repository URL that suits the CI host: the project's own store there."""
        name, path = self.remote
        if host is CiHost.GITHUB and name == "github.com" and path.count("/") == 1:
            return f"github://{path}"
        if host is CiHost.GITLAB and path:
            return f"gitlab://{name}/{path}"
        return "module-repository"


def survey_project(folder: Path, env: Mapping[str, str]) -> Survey:
    """Look at a folder: its projects, its git remote and its CI host; nothing is started but git.

    Raises PackagingError when it holds no project, ConfigurationError below a repository's root:
    CI hosts look for workflows there.
    """
    git = _checkout(folder, env)
    if git is not None and git.path != ".":
        raise ConfigurationError(
            f"this is the folder {git.path!a} of a git repository, not its root",
            hint="run init in the root folder of the repository.",
        )
    found = find_projects(folder)
    if not found.projects:
        raise PackagingError(
            "nothing to release here: found no Gradle or Maven build and no module.xml",
            hint="run init in the folder of the module's project.",
        )
    url = git.remote_url() if git else ""
    return Survey(
        discovery=found,
        remote=_split_remote(url),
        branch=git.main_branch() if git else "",
        ci_host=_recognised(folder, _split_remote(url)[0]),
        lacks_wrapper=tuple(each for each in found.projects if _lacks_wrapper(folder / each)),
        has_git=git is not None,
        has_remote=bool(url),
        committed=_committed(git),
    )


def starter_files(survey: Survey, host: CiHost, repository_url: str) -> dict[str, str]:
    """Return the files' texts by their paths, relative to the project."""
    template = {
        CiHost.GITHUB: "github.yml" if survey.is_single else "github-batch.yml",
        CiHost.GITLAB: "gitlab-ci.yml",
        CiHost.JENKINS: "Jenkinsfile",
    }[host]
    words = {
        "@TAG@": "v1.2.3" if survey.is_single else "release-2026-03",
        "@WHAT@": "version 1.2.3" if survey.is_single else "all modules",
        "@COMMAND@": "module ." if survey.is_single else "batch",
    }
    text = _template(template)
    for word, value in words.items():
        text = text.replace(word, value)
    return {CONFIG_FILE: _config_text(survey, repository_url), _WORKFLOWS[host]: text}


def write_missing(files: Mapping[str, str], folder: Path) -> tuple[list[str], list[str]]:
    """Write the files that don't exist; return what was written and what was kept.

    Raises ConfigurationError for what can't be written, and before anything is written, if a link
    in a foreign checkout leads out of the folder.
    """
    written: list[str] = []
    kept: list[str] = []
    for name in files:
        if not (folder / name).parent.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(
                f"{name} would be written outside of this folder, through a link",
                hint="replace the link with a folder.",
            )
    for name, text in files.items():
        path = folder / name
        with explain_os_error("create", path, error=ConfigurationError, hint=_WRITABLE):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            except FileExistsError:
                kept.append(name)
                continue
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            written.append(name)
    return written, kept


@dataclass(frozen=True, slots=True)
class NextStep:
    """What a person does next: a sentence, and the commands that do it."""

    text: str
    commands: tuple[str, ...] = ()


def next_steps(survey: Survey, host: CiHost) -> list[NextStep]:
    """Return what leads from the files of ``starter_files`` to the first release."""
    steps = [] if survey.has_remote else [_into_git(survey)]
    steps += [
        NextStep(
            "Make a signing key, once for all modules: gateways ask again for every new one. Keep "
            "it safe, with the password that the last command shows.",
            (
                'export MODULE_SIGNING_PASSWORD="$(openssl rand -base64 24)"',
                f'ign-deploy generate-certificate --common-name "Your company" -o {_KEY_FOLDER}',
                'echo "$MODULE_SIGNING_PASSWORD"',
            ),
        ),
        _hand_over_key(host, "v*" if survey.is_single else "release-*"),
    ]
    if host is CiHost.GITLAB:
        steps.append(NextStep(_IMAGE, ("glab variable set IGN_DEPLOY_IMAGE IMAGE",)))
    if host is CiHost.JENKINS:
        steps.append(
            NextStep(f"{_IMAGE} Set the global environment variable IGN_DEPLOY_IMAGE to it.")
        )
    if survey.lacks_wrapper:
        steps.append(
            NextStep(
                "Add a Gradle wrapper: the image has no Gradle.",
                tuple(_wrapper_commands(survey.lacks_wrapper)),
            )
        )
    steps.append(_first_release(survey, host))
    return steps


def _into_git(survey: Survey) -> NextStep:
    remote = "git remote add origin URL"
    if survey.has_git:
        return NextStep("Give git the address of your repository.", (remote,))
    return NextStep("Put the project into git.", ("git init -b main", "git add .", remote))


def _wrapper_commands(projects: Sequence[Path]) -> Iterator[str]:
    """Yield commands for each project's own: one in the root would make that a project, too."""
    for path in projects:
        where = "" if path == Path() else f"-p {shlex.quote(path.as_posix())} "
        yield f"gradle {where}wrapper"
        yield f"git add {shlex.join((path / name).as_posix() for name in _WRAPPER)}"


def _first_release(survey: Survey, host: CiHost) -> NextStep:
    missing = [name for name in (CONFIG_FILE, _WORKFLOWS[host]) if name not in survey.committed]
    commands = [f"git add {shlex.join(missing)}"] if missing else []
    if missing or survey.lacks_wrapper:
        commands.append('git commit -m "Release with ign-deploy"')
    tag = "v1.2.3" if survey.is_single else "release-1"
    commands += [f"git tag {tag}", f"git push origin HEAD {tag}"]
    what = (
        "the version that your build files have, such as 1.2.3"
        if survey.is_single
        else "all modules"
    )
    branch = (survey.branch or "main").encode("ascii", "backslashreplace").decode()
    return NextStep(f"Release {what}, from the branch {branch}.", tuple(commands))


def _hand_over_key(host: CiHost, tags: str) -> NextStep:
    key, certificate = f"{_KEY_FOLDER}/signing.key.pem", f"{_KEY_FOLDER}/signing.cert.pem"
    given = 'printf %s "$MODULE_SIGNING_PASSWORD" |'
    if host is CiHost.GITHUB:
        return NextStep(
            "Give the key to GitHub.",
            (
                f"gh secret set SIGNING_KEY <{key}",
                f"gh secret set SIGNING_CERTIFICATE <{certificate}",
                f"{given} gh secret set SIGNING_PASSWORD",
            ),
        )
    if host is CiHost.GITLAB:
        variable = "glab variable set MODULE_SIGNING"
        return NextStep(
            f"Give the key to GitLab, and protect the tags {tags} (Settings > Repository).",
            (
                f"{variable}_KEY_PATH --type file --protected <{key}",
                f"{variable}_CERT_PATH --type file --protected <{certificate}",
                f"{given} {variable}_PASSWORD --masked --protected",
            ),
        )
    return NextStep(
        "Add three credentials to Jenkins: "
        f"signing-key (Secret file, {key}), signing-certificate (Secret file, {certificate}) and "
        "signing-password (Secret text)."
    )


def _config_text(survey: Survey, repository_url: str) -> str:
    lines = [
        f"#:schema {_SCHEMA}",
        "# Settings of ign-deploy. Command line, inputs and environment variables override them.",
        "# Secrets don't belong here: this file gets committed.",
        "",
        "# Where releases go.",
        f"repository-url = {_toml_text(repository_url)}",
        "",
        "# Only commits on this branch are released.",
        f"protected-branch = [{_toml_text(survey.branch or 'main')}]",
    ]
    if survey.is_single:
        lines += [
            "",
            "# The tag v1.2.3 releases version 1.2.3 and nothing else.",
            'tag-pattern = "v{version}"',
        ]
    return "\n".join(lines) + "\n"


def _toml_text(text: str) -> str:
    """Return a basic string of TOML, which has JSON's escapes, but not for halves of characters."""
    sound = text.encode("utf-8", "replace").decode()
    return json.dumps(sound, ensure_ascii=False).replace("\x7f", "\\u007f")


def _template(name: str) -> str:
    return resources.files("ign_deploy.pipeline").joinpath("templates", name).read_text("utf-8")


def _checkout(folder: Path, env: Mapping[str, str]) -> Git | None:
    try:
        return Git.at(folder, env)
    except ConfigurationError:
        return None  # without git there is no remote to learn from


def _committed(git: Git | None) -> frozenset[str]:
    names = (CONFIG_FILE, *_WORKFLOWS.values())
    return frozenset(name for name in names if git is not None and git.tracks_it(name))


def _split_remote(url: str) -> tuple[str, str]:
    """Return host and path of a git remote, https or ssh; empty for anything else."""
    if match := _REMOTE.fullmatch(url):
        host, path = match[1], match[2]
    else:
        try:
            parts = urlsplit(url)
            host, path = parts.hostname or "", parts.path
            if host and parts.scheme == "https" and parts.port not in (None, 443):
                host = f"{host}:{parts.port}"
        except ValueError:
            return "", ""
        if parts.scheme not in ("https", "http", "ssh", "git"):
            return "", ""
    path = path.strip("/").removesuffix(".git")
    if not host or not re.fullmatch(rf"{_PART}(?:/{_PART})*", path, re.ASCII):
        return "", ""
    host = host.lower()
    return _HTTPS_HOSTS.get(host, host), path


def _recognised(folder: Path, remote_host: str) -> CiHost | None:
    """Return the CI host by the files that are there, else by the remote's host."""
    signs = {
        CiHost.GITHUB: ".github/workflows",
        CiHost.GITLAB: ".gitlab-ci.yml",
        CiHost.JENKINS: "Jenkinsfile",
    }
    found = [host for host, name in signs.items() if (folder / name).exists()]
    if len(found) == 1:
        return found[0]
    named = [host for host in (CiHost.GITHUB, CiHost.GITLAB) if host.value in remote_host]
    return named[0] if len(named) == 1 else None


def _lacks_wrapper(project: Path) -> bool:
    has_build = any((project / name).is_file() for name in GRADLE_FILES)
    return has_build and not (project / "gradlew").is_file()
