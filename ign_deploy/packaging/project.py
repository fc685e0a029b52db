"""What kind of project a path is, and which tool builds it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from ign_deploy.errors import PackagingError
from ign_deploy.module.descriptor_xml import DESCRIPTOR_NAME
from ign_deploy.packaging.artifacts import MODULE_SUFFIX, built_modules, without_twins

GRADLE_FILES = ("settings.gradle", "settings.gradle.kts", "build.gradle", "build.gradle.kts")
MAVEN_FILE = "pom.xml"


class ProjectKind(Enum):
    """How a project becomes a module."""

    PREBUILT = "prebuilt module"
    GRADLE_WRAPPER = "Gradle wrapper"
    GRADLE = "Gradle"
    MAVEN_WRAPPER = "Maven wrapper"
    MAVEN = "Maven"
    FOLDER = "folder"

    @property
    def is_gradle(self) -> bool:
        """Whether Gradle builds it."""
        return self in (ProjectKind.GRADLE_WRAPPER, ProjectKind.GRADLE)

    @property
    def is_maven(self) -> bool:
        """Whether Maven builds it."""
        return self in (ProjectKind.MAVEN_WRAPPER, ProjectKind.MAVEN)


@dataclass(frozen=True, slots=True)
class Project:
    """A project and how it is built.

    ``root`` is an absolute folder, ``reason`` says in one clause why this kind was chosen, ``tool``
    is the start of the build's command line, ``files`` are the modules of a prebuilt project.
    """

    root: Path
    kind: ProjectKind
    reason: str
    tool: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()


def detect_project(
    path: Path,
    *,
    env: Mapping[str, str],
    kind: ProjectKind | None = None,
    skip_build: bool = False,
    prefer_signed: bool = False,
) -> Project:
    """Find out what ``path`` is; the first match wins, unless ``kind`` says which one.

    The order: a ``.modl`` file, ``gradlew``, Gradle, ``mvnw``, Maven, a folder with module.xml, a
    folder of built ``.modl`` files. ``skip_build`` uses what was built before; ``prefer_signed``
    then uses the signed one of two twins. Raises PackagingError that lists what wasn't found.
    """
    path = path.absolute()
    if path.is_file():
        return _prebuilt_file(path)
    if not path.is_dir():
        raise PackagingError(f"{path} does not exist", hint="check the path.")
    if skip_build or kind is ProjectKind.PREBUILT:
        return _built_before(path, prefer_signed=prefer_signed)
    looked_for: list[str] = []
    for candidate, find in _FINDERS.items():
        if kind in (None, candidate):
            found = find(path, env)
            if isinstance(found, Project):
                return found
            looked_for.append(found)
    raise PackagingError(
        f"nothing to build in {path}; found no {', no '.join(looked_for)}",
        hint="pass the folder with the build files, or a .modl file.",
    )


def gradle_command(env: Mapping[str, str]) -> Path | None:
    """Return the Gradle that GRADLE_HOME names, else the one on PATH, else None."""
    return _tool("gradle", env, homes=("GRADLE_HOME",))


def maven_command(env: Mapping[str, str]) -> Path | None:
    """Return the Maven that MAVEN_HOME or M2_HOME names, else the one on PATH, else None."""
    return _tool("mvn", env, homes=("MAVEN_HOME", "M2_HOME"))


def _tool(name: str, env: Mapping[str, str], *, homes: tuple[str, ...]) -> Path | None:
    for home in homes:
        candidate = Path(env.get(home, "")) / "bin" / name
        if env.get(home) and candidate.is_file():
            return candidate
    on_path = shutil.which(name, path=env.get("PATH", ""))
    return Path(on_path).absolute() if on_path else None


def _prebuilt_file(path: Path) -> Project:
    if path.suffix.lower() != MODULE_SUFFIX:
        raise PackagingError(
            f"{path.name} is neither a folder nor a {MODULE_SUFFIX} file",
            hint="pass the project's folder, or a built module.",
        )
    return Project(path.parent, ProjectKind.PREBUILT, "an already built module", files=(path,))


def _built_before(path: Path, *, prefer_signed: bool) -> Project:
    files = without_twins(built_modules(path), prefer_signed=prefer_signed)
    if not files:
        raise PackagingError(
            f"no built module in {path}; searched for *{MODULE_SUFFIX}, build/*{MODULE_SUFFIX} and "
            f"target/*{MODULE_SUFFIX}",
            hint="build first, without --skip-packaging.",
        )
    return Project(path, ProjectKind.PREBUILT, "the modules that were built before", files=files)


# Each finder returns the project, or what it didn't find.


def _find_gradle_wrapper(path: Path, env: Mapping[str, str]) -> Project | str:
    del env
    if not (path / "gradlew").is_file():
        return "gradlew"
    # Through sh: in many projects the script isn't executable.
    return Project(
        path, ProjectKind.GRADLE_WRAPPER, "it has a gradlew", tool=("sh", str(path / "gradlew"))
    )


def _find_gradle(path: Path, env: Mapping[str, str]) -> Project | str:
    name = next((name for name in GRADLE_FILES if (path / name).is_file()), None)
    if name is None:
        return " or ".join(GRADLE_FILES)
    command = gradle_command(env)
    if command is None:
        return f"gradle on PATH or in GRADLE_HOME (needed for {name})"
    return Project(
        path, ProjectKind.GRADLE, f"it has a {name}; {command} builds it", tool=(str(command),)
    )


def _find_maven_wrapper(path: Path, env: Mapping[str, str]) -> Project | str:
    del env
    if not (path / "mvnw").is_file():
        return "mvnw"
    return Project(
        path, ProjectKind.MAVEN_WRAPPER, "it has an mvnw", tool=("sh", str(path / "mvnw"))
    )


def _find_maven(path: Path, env: Mapping[str, str]) -> Project | str:
    if not (path / MAVEN_FILE).is_file():
        return MAVEN_FILE
    command = maven_command(env)
    if command is None:
        return f"mvn on PATH or in MAVEN_HOME (needed for {MAVEN_FILE})"
    return Project(
        path, ProjectKind.MAVEN, f"it has a {MAVEN_FILE}; {command} builds it", tool=(str(command),)
    )


def _find_folder(path: Path, env: Mapping[str, str]) -> Project | str:
    del env
    if not (path / DESCRIPTOR_NAME).is_file():
        return DESCRIPTOR_NAME
    return Project(path, ProjectKind.FOLDER, f"it has a {DESCRIPTOR_NAME} and no build files")


def _find_prebuilt(path: Path, env: Mapping[str, str]) -> Project | str:
    del env
    files = without_twins(sorted(path.glob(f"*{MODULE_SUFFIX}")))
    if not files:
        return f"*{MODULE_SUFFIX}"
    return Project(path, ProjectKind.PREBUILT, "it contains already built modules", files=files)


_FINDERS: dict[ProjectKind, Callable[[Path, Mapping[str, str]], Project | str]] = {
    ProjectKind.GRADLE_WRAPPER: _find_gradle_wrapper,
    ProjectKind.GRADLE: _find_gradle,
    ProjectKind.MAVEN_WRAPPER: _find_maven_wrapper,
    ProjectKind.MAVEN: _find_maven,
    ProjectKind.FOLDER: _find_folder,
    # Last: a module lying next to its sources must not be released instead of them.
    ProjectKind.PREBUILT: _find_prebuilt,
}
