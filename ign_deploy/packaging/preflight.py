"""Preflight: everything about project, Java and tools that would make a build fail."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ign_deploy.errors import IgnDeployError, VerificationError
from ign_deploy.files import os_error_reason, read_regular
from ign_deploy.module.findings import Finding, error, warning
from ign_deploy.packaging.artifacts import reject_lfs_pointer
from ign_deploy.packaging.commands import (
    WRAPPER_JAR,
    WRAPPER_PROPERTIES,
    reported_version,
    wrapper_version,
)
from ign_deploy.packaging.folder import folder_members, read_folder_descriptor
from ign_deploy.packaging.java import (
    Java,
    Version,
    find_java,
    is_java_home,
    newest_java_for,
    oldest_gradle_for,
    oldest_java_for,
    probe,
)
from ign_deploy.packaging.private import private_folder
from ign_deploy.packaging.project import GRADLE_FILES, MAVEN_FILE, Project, ProjectKind
from ign_deploy.packaging.toolchains import toolchain_problems
from ign_deploy.process import Account

# Older ones, such as Debian's, overlook a Kotlin build script.
_FIRST_WITH_KOTLIN: Version = (5, 0)
_MAX_WRAPPER = 1 << 20


def build_findings(
    project: Project,
    *,
    env: Mapping[str, str],
    account: Account | None = None,
    arguments: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Return what would make the project's build fail (errors), and what deserves a warning.

    Java and Gradle, which lie where builds may have changed them, are started as ``account``;
    ``arguments`` are those of the build.

    Codes: ``java-missing``, ``java-home-invalid``, ``java-gradle-mismatch``,
    ``java-toolchain-missing``, ``java-toolchain-computed``, ``gradle-home-invalid``,
    ``gradle-unusable``, ``gradle-kotlin-unsupported``, ``wrapper-jar-missing``,
    ``wrapper-properties-missing``, ``wrapper-line-endings``, ``build-file-missing``,
    ``folder-incomplete``, ``module-unreadable``, and those of a module.xml.
    """
    if project.kind is ProjectKind.PREBUILT:
        return tuple(_prebuilt_problems(project))
    if project.kind is ProjectKind.FOLDER:
        return tuple(_folder_problems(project))
    java = find_java(env, account=account)
    found = [*_structure_problems(project), *_java_problems(java, env)]
    if java is not None:
        gradle = _gradle_version(project, env, account) if project.kind.is_gradle else None
        if project.kind.is_gradle:
            found += _gradle_problems(project, gradle, java, env)
        found += toolchain_problems(project, java=java, gradle=gradle, arguments=arguments, env=env)
    return tuple(found)


def _prebuilt_problems(project: Project) -> Iterator[Finding]:
    for path in project.files:
        try:
            reject_lfs_pointer(path)
        except IgnDeployError as problem:
            yield error("module-unreadable", problem.message, location=path.name, hint=problem.hint)
        except OSError as problem:
            yield error("module-unreadable", f"cannot read {path}: {os_error_reason(problem)}")


def _folder_problems(project: Project) -> Iterator[Finding]:
    try:
        descriptor = read_folder_descriptor(project.root)
        folder_members(project.root, descriptor)
    except VerificationError as problem:
        yield from problem.findings
    except IgnDeployError as problem:
        yield error("folder-incomplete", problem.message, hint=problem.hint)
    else:
        if not descriptor.jars:
            yield error(
                "folder-incomplete",
                f"the module.xml of {project.root.name} lists no jar",
                hint="build the jars first, and list them.",
            )


def _structure_problems(project: Project) -> Iterator[Finding]:
    """Look for build files, and for what a wrapper needs."""
    names = GRADLE_FILES if project.kind.is_gradle else (MAVEN_FILE,)
    if not any((project.root / name).is_file() for name in names):
        yield error(
            "build-file-missing",
            f"{project.root} has no {' or '.join(names)}",
            hint="pass the folder with the build files.",
        )
    if project.kind in (ProjectKind.GRADLE_WRAPPER, ProjectKind.MAVEN_WRAPPER):
        yield from _line_ending_problems(Path(project.tool[-1]))
    if project.kind is not ProjectKind.GRADLE_WRAPPER:
        return
    if not (project.root / WRAPPER_JAR).is_file():
        yield error(
            "wrapper-jar-missing",
            f"there is a gradlew, but no {WRAPPER_JAR}",
            hint="commit it (a .gitignore for *.jar often hides it), or run `gradle wrapper`.",
        )
    if not (project.root / WRAPPER_PROPERTIES).is_file():
        yield error(
            "wrapper-properties-missing",
            f"there is a gradlew, but no {WRAPPER_PROPERTIES}",
            hint="run `gradle wrapper` and commit its files.",
        )


def _line_ending_problems(wrapper: Path) -> Iterator[Finding]:
    """Look for the line endings of Windows: to a shell, they are part of each command."""
    try:
        has_crlf = b"\r\n" in read_regular(wrapper, limit=_MAX_WRAPPER)
    except OSError:
        return  # the build will say why
    if has_crlf:
        yield error(
            "wrapper-line-endings",
            f"{wrapper.name} has Windows line endings (CRLF), which no shell can run",
            hint=f"add the line `{wrapper.name} eol=lf` to .gitattributes, run "
            f"`git add --renormalize {wrapper.name}`, and commit both.",
        )


def _java_problems(java: Java | None, env: Mapping[str, str]) -> Iterator[Finding]:
    home = env.get("JAVA_HOME", "")
    if java is None:
        where = f"JAVA_HOME is {home!r}, and " if home else "JAVA_HOME is not set, and "
        yield error(
            "java-missing",
            f"no Java was found: {where}PATH has no java",
            hint="set up a JDK (actions/setup-java), or use the image with a JDK.",
        )
    elif home and not is_java_home(home):
        yield warning(
            "java-home-invalid",
            f"JAVA_HOME is {home!r}, which has no Java; using {java.command}",
            hint="fix or unset JAVA_HOME.",
        )


def _gradle_problems(
    project: Project, version: Version | None, java: Java, env: Mapping[str, str]
) -> Iterator[Finding]:
    if project.kind is ProjectKind.GRADLE_WRAPPER:
        if version is not None:
            yield from _mismatch(version, java)
        return
    home = env.get("GRADLE_HOME", "")
    if home and not Path(home, "bin", "gradle").is_file():
        yield warning(
            "gradle-home-invalid",
            f"GRADLE_HOME is {home!r}, which has no Gradle; using {project.tool[0]}",
            hint="fix or unset GRADLE_HOME.",
        )
    if version is None:
        yield error(
            "gradle-unusable",
            f"{project.tool[0]} doesn't run on Java {java.release}: it can't print its version",
            hint="run `gradle --version` to see why; set up a suitable JDK, or use a wrapper.",
        )
    elif version < _FIRST_WITH_KOTLIN and not any(
        (project.root / name).is_file() for name in GRADLE_FILES if not name.endswith(".kts")
    ):
        yield error(
            "gradle-kotlin-unsupported",
            f"Gradle {_dotted(version)} can't read the project's Kotlin build files",
            hint="add a wrapper with a newer Gradle (`gradle wrapper --gradle-version …`).",
        )


def _gradle_version(
    project: Project, env: Mapping[str, str], account: Account | None
) -> Version | None:
    """Return the wrapper's version; ask an installed Gradle, which may be patched for newer Java.

    Not with its caches: an earlier build may have left a native library there, which it loads.
    """
    if project.kind is ProjectKind.GRADLE_WRAPPER:
        return wrapper_version(project.root)
    with private_folder() as user_home:
        if account is not None:
            os.chown(user_home, account.uid, account.gid)
        variables = {**_for_probe(env), "GRADLE_USER_HOME": str(user_home)}
        return reported_version(probe((*project.tool, "--version"), variables, account=account))


def _mismatch(gradle: Version, java: Java) -> Iterator[Finding]:
    newest, oldest = newest_java_for(gradle), oldest_java_for(gradle)
    if not java.release or oldest <= java.release <= newest:
        return
    if java.release > newest:
        needed = oldest_gradle_for(java.release)
        raise_it = (
            f"raise the wrapper to Gradle {needed} or later" if needed else "raise the wrapper"
        )
        hint = f"set up a JDK {newest} or older, or {raise_it}."
    else:
        hint = f"set up a JDK {oldest} or later."
    yield error(
        "java-gradle-mismatch",
        f"Gradle {_dotted(gradle)} runs on Java {oldest} to {newest}, but {java.command} is Java "
        f"{java.release}",
        hint=hint,
    )


def _for_probe(env: Mapping[str, str]) -> Mapping[str, str]:
    """Drop JAVA_HOME when it would stop the tool's start script."""
    is_alive = is_java_home(env.get("JAVA_HOME", ""))
    return {name: value for name, value in env.items() if is_alive or name != "JAVA_HOME"}


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
