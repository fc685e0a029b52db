"""The JDKs that a project's build files name as toolchains, and those that are installed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ign_deploy.files import read_regular
from ign_deploy.module.findings import Finding, Severity, error, info
from ign_deploy.packaging.commands import GRADLE_VALUE_OPTIONS, gradle_user_home, names_task
from ign_deploy.packaging.java import Java, Version
from ign_deploy.packaging.project import MAVEN_FILE, Project

_GRADLE = re.compile(
    r"JavaLanguageVersion\.of\(\s*[\"']?(\d{1,2})[\"']?\s*\)|\bjvmToolchain\b\s*\(?\s*(\d{1,2})\b"
)
# No literal number: a variable, a property, or an entry of a version catalogue.
_COMPUTED = re.compile(r"JavaLanguageVersion\.of\((?!\s*[\"']?\s*\d)|\bjvmToolchain\s*\((?!\s*\d)")
_GRADLE_COMMENT = re.compile(r"/\*(?:.*?\*/|.*\Z)|(?:^|(?<=[\s;{}]))//[^\n]*", re.DOTALL)
# What tests run on doesn't matter to a module.
_LAUNCHER = re.compile(r"launcherFor\s{0,100}\{[^}]*\}?")
_DAEMON_FILE = "gradle/gradle-daemon-jvm.properties"
_DAEMON = re.compile(r"^[ \t]*toolchainVersion[ \t]*[=:][ \t]*(\d{1,2})[ \t\r]*$", re.MULTILINE)
_RESOLVER = re.compile(r"foojay|toolchainManagement|org\.gradle\.toolchains")
_LOCATIONS = re.compile(r"org\.gradle\.java\.installations\.(?:paths|fromEnv)")
_NO_DOWNLOAD = re.compile(r"org\.gradle\.java\.installations\.auto-download\s*[=:]\s*false")
# Before, Gradle downloaded JDKs without being told where from.
_FIRST_WITH_RESOLVERS: Version = (8, 0)

_XML_COMMENT = re.compile(r"<!--(?:.*?-->|.*\Z)", re.DOTALL)
_MAVEN_JDK = re.compile(r"<jdk>(.*?)(?:</jdk>|\Z)", re.DOTALL)
_MAVEN_VERSION = re.compile(r"<version>\s*(?:1\.)?(\d{1,2})(?:\.[\d.]*)?\s*</version>")
_MAVEN_OPTIONS = frozenset({"-t", "--toolchains", "-gt", "--global-toolchains"})

_RELEASE = re.compile(r'^JAVA_VERSION="(?:1\.)?(\d{1,2})', re.MULTILINE)
_SYSTEM = (
    "/usr/lib/jvm",
    "/usr/lib64/jvm",
    "/usr/java",
    "/usr/local/java",
    "/opt/java",
)
_OF_USER = (".sdkman/candidates/java", ".jdks", ".asdf/installs/java", ".jabba/jdk",
            ".local/share/mise/installs/java")  # fmt: skip
_PRUNED = frozenset({"build", "out", "node_modules", "target", "src"})
_MAX_FILE = 1 << 20
_MOST_FILES = 500
_DEEPEST = 4


def toolchain_problems(
    project: Project,
    *,
    java: Java,
    gradle: Version | None,
    arguments: Sequence[str],
    env: Mapping[str, str],
) -> Iterator[Finding]:
    """Yield each JDK that the build files name, and that is neither installed nor downloaded.

    An error, or a warning if ``arguments`` name tasks, which may need no such JDK. What they
    compute is only mentioned.
    """
    if project.kind.is_maven:
        needed, names_tasks = _needed_by_maven(project, arguments), False
        installed = _in_maven_toolchains(env) if needed else frozenset()
        remedy = "define it in ~/.m2/toolchains.xml; actions/setup-java does that for every"
    else:
        texts = _read_by_gradle(project, gradle, arguments, env)
        yield from _computed(texts)
        needed = _needed_by_gradle(texts)
        names_tasks = names_task(arguments, GRADLE_VALUE_OPTIONS)
        installed = _installed(env) | {java.release} if needed else frozenset()
        remedy = "install it, too; actions/setup-java installs every"
    for release in sorted(needed.keys() - installed):
        missing = error(
            "java-toolchain-missing",
            f"{needed[release]} needs JDK {release} as a toolchain, which was not found; the build "
            f"runs on Java {java.release}",
            hint=f"{remedy} line of `java-version`, of which the last one runs the build.",
        )
        yield replace(missing, severity=Severity.WARNING) if names_tasks else missing


def _computed(texts: Mapping[str, str]) -> Iterator[Finding]:
    if names := [name for name, text in texts.items() if _COMPUTED.search(text)]:
        yield info(
            "java-toolchain-computed",
            f"{names[0]} computes which JDK it needs as a toolchain, so whether that is installed "
            "was not checked",
            location=names[0],
        )


def _read_by_gradle(
    project: Project, gradle: Version | None, arguments: Sequence[str], env: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the build files by name, without comments; none if Gradle gets JDKs elsewhere."""
    properties = "\n".join(
        [
            _text(project.root / "gradle.properties"),
            _text(gradle_user_home(env) / "gradle.properties"),
            *arguments,
        ]
    )
    settings = "\n".join(
        _text(project.root / name) for name in ("settings.gradle", "settings.gradle.kts")
    )
    daemon = _text(project.root / _DAEMON_FILE)
    downloads = bool(_RESOLVER.search(settings) or "toolchainUrl" in daemon)
    downloads |= gradle is None or gradle < _FIRST_WITH_RESOLVERS
    if _LOCATIONS.search(properties) or (downloads and not _NO_DOWNLOAD.search(properties)):
        return {}
    found = {}
    for path in islice(_build_files(project.root, settings), _MOST_FILES):
        name = str(path.relative_to(project.root))
        found[name] = _LAUNCHER.sub("", _GRADLE_COMMENT.sub("", _text(path)))
    return {**found, _DAEMON_FILE: daemon}


def _needed_by_gradle(texts: Mapping[str, str]) -> Mapping[int, str]:
    """Return the JDKs that Gradle would have to find, and where each is named."""
    needed: dict[int, str] = {}
    for name, text in texts.items():
        for match in (_DAEMON if name == _DAEMON_FILE else _GRADLE).finditer(text):
            needed.setdefault(int(next(filter(None, match.groups()))), name)
    return needed


def _needed_by_maven(project: Project, arguments: Sequence[str]) -> Mapping[int, str]:
    """Return the JDKs that maven-toolchains-plugin is to find in toolchains.xml."""
    needed: dict[int, str] = {}
    if _MAVEN_OPTIONS & {argument.partition("=")[0] for argument in arguments}:
        return needed
    for path in [project.root / MAVEN_FILE, *sorted(project.root.glob(f"*/{MAVEN_FILE}"))]:
        text = _XML_COMMENT.sub("", _text(path))
        # With that goal, the plugin looks for JDKs by itself.
        if "maven-toolchains-plugin" in text and "select-jdk-toolchain" not in text:
            for jdk in _MAVEN_JDK.finditer(text):
                for match in _MAVEN_VERSION.finditer(jdk[1]):
                    needed.setdefault(int(match[1]), str(path.relative_to(project.root)))
    return needed


def _in_maven_toolchains(env: Mapping[str, str]) -> frozenset[int]:
    text = _text(Path(env.get("HOME", "/"), ".m2", "toolchains.xml"))
    return frozenset(int(each) for each in _MAVEN_VERSION.findall(_XML_COMMENT.sub("", text)))


def _installed(env: Mapping[str, str]) -> frozenset[int]:
    """Return the releases of the JDKs where Gradle looks for them."""
    homes = [Path(value) for name, value in env.items() if name.startswith("JAVA_HOME")]
    if on_path := shutil.which("java", path=env.get("PATH", "")):
        homes.append(Path(os.path.realpath(on_path)).parent.parent)
    home = Path(env.get("HOME") or "/nonexistent")
    roots = [*map(Path, _SYSTEM), *(home / each for each in _OF_USER)]
    roots.append(gradle_user_home(env) / "jdks")
    for root in roots:
        homes += [*root.glob("*"), *root.glob("*/*")]
    releases = (_RELEASE.search(_text(each / "release")) for each in homes)
    return frozenset(int(match[1]) for match in releases if match) | _in_maven_toolchains(env)


def _build_files(root: Path, settings: str) -> Iterator[Path]:
    """Yield the project's Gradle files, also those of its convention plugins.

    A folder with settings of its own is another project, unless the ``settings`` name it.
    """
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError:
            continue
        names = {entry.name for entry in entries}
        is_other = folder != root and folder.name not in settings
        if is_other and names & {"settings.gradle", "settings.gradle.kts"}:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                # The sources of buildSrc and build-logic are build files, those of modules aren't.
                is_skipped = entry.name in _PRUNED and not (
                    entry.name == "src" and folder.name.startswith("build")
                )
                if depth < _DEEPEST and not is_skipped and not entry.name.startswith("."):
                    waiting.append((Path(entry.path), depth + 1))
            elif entry.name.endswith((".gradle", ".gradle.kts")):
                yield Path(entry.path)


def _text(path: Path) -> str:
    """Return a file's text; empty if it can't be read: the build will say why."""
    try:
        return read_regular(path, limit=_MAX_FILE).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""
