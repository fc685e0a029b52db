"""Known causes of failed builds: what reveals them, what they mean, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Flag, auto

from ign_deploy.packaging.mistakes import shown_text

_HOST = r"(?P<host>[\w.-]{1,253})"
_COMPILES = r"(?:\S*:)?(?:compile|kapt|ksp)\w*"


class Shows(Flag):
    """What a line has to be, for a cause to be true when it is found there."""

    REASON = auto()
    """A reason in the report of the failure."""
    OUTPUT = auto()
    """Also the output of the task that failed, or what comes before any task."""
    COMPILER = auto()
    """Also the output of a compiler, which repeats the sources."""


REASON = Shows.REASON
OUTPUT = Shows.REASON | Shows.OUTPUT
ANY = Shows.REASON | Shows.OUTPUT | Shows.COMPILER


@dataclass(frozen=True, slots=True)
class Cause:
    """A known cause: the line that reveals it, what it means, and what to do.

    ``{0}``, ``{1}`` in the texts stand for the pattern's groups, ``{host}`` for the group of that
    name, or the last host before it. ``is_general``: it says only which step failed.
    """

    pattern: re.Pattern[str]
    meaning: str
    hint: str
    shows: Shows = OUTPUT
    is_general: bool = False


def _cause(
    pattern: str, meaning: str, hint: str, shows: Shows = OUTPUT, *, is_general: bool = False
) -> Cause:
    return Cause(re.compile(pattern), meaning, hint, shows, is_general)


_NO_HOST = (
    "the host name of {host} could not be resolved: no network, no DNS, or a wrong name",
    "check the name and the network, or set HTTPS_PROXY and the JVM's https.proxyHost.",
)
_NO_TOOLCHAIN = (
    "the build needs JDK {0}, which is not installed",
    "install JDK {0} beside the one that runs the build; actions/setup-java takes one per line.",
)
_CRLF = (
    "a shell script has Windows line endings (CRLF)",
    "add a line such as `gradlew eol=lf` to .gitattributes, then `git add --renormalize .`.",
)
_NO_MEMORY = (
    "the build ran out of memory",
    "raise org.gradle.jvmargs (-Xmx) in gradle.properties, or MAVEN_OPTS; or use a larger runner.",
)
_FIX_SOURCES = "fix the sources; the build's log has every error."
_FIX_SCRIPT = "fix that line of the build script."
_SEE_OUTPUT = "see its output in the build's log."

# The first in this list wins: a network failure also shows up as an unresolved library.
CAUSES = (
    _cause(
        r"JAVA_HOME is set to an invalid directory:? *(\S*)",
        "JAVA_HOME names a folder without Java: {0}",
        "set up a JDK (actions/setup-java), or unset JAVA_HOME.",
    ),
    _cause(
        r"JAVA_HOME (?:is not set|environment variable is not defined)",
        "no Java was found",
        "set up a JDK (actions/setup-java), or use the image with a JDK.",
    ),
    _cause(
        r"Unsupported class file major version (\d+)",
        "this Gradle doesn't support the Java it runs on (class file version {0})",
        "raise the wrapper's Gradle version, or set up an older JDK.",
    ),
    _cause(
        r"(?:Could not find or load main class|ClassNotFoundException:?|Unable to access jarfile)"
        r".*(?:org\.gradle\.wrapper|gradle-wrapper\.jar)",
        "gradle/wrapper/gradle-wrapper.jar is missing",
        "commit it (a .gitignore for *.jar often hides it), or create it with `gradle wrapper`.",
    ),
    _cause(r"\r\W?: (?:command )?not found|\$'[^']{0,80}\\r'", *_CRLF),
    _cause(r"\\r\W?: No such file|\^M: bad interpreter|Illegal option -\r?$", *_CRLF),
    # Gradle, then the other ways it has said the same.
    _cause(
        r"(?:Cannot find a Java installation|toolchain).*\{languageVersion=(\d+)", *_NO_TOOLCHAIN
    ),
    _cause(r"jdk \[.*?version='(\d+)", *_NO_TOOLCHAIN),
    _cause(
        r"Cannot find matching toolchain definitions|No locally installed toolchains match",
        "the build needs a JDK that is not installed (toolchain)",
        "install the JDK that its build files name, beside the one that runs the build.",
    ),
    _cause(
        r"requires at least JVM runtime version (\d+)",
        "the build must run on Java {0} or later",
        "set up JDK {0} or later (actions/setup-java).",
    ),
    _cause(
        r"error: (?:invalid (?:source|target) release: |release version )(\d+)",
        "the JDK is too old for the sources, which need Java {0}",
        "set up JDK {0} or later (actions/setup-java).",
        ANY,
    ),
    _cause(
        r"(?:UnknownHostException:? |[Uu]nknown host:? '?|[Cc]ould not resolve host:? |"
        rf"getaddrinfo (?:ENOTFOUND|EAI_AGAIN) ){_HOST}",
        *_NO_HOST,
    ),
    _cause(
        rf"(?<![\w.-]){_HOST}: (?:Name or service not known|nodename nor servname|"
        r"Temporary failure in name resolution|No address associated)",
        *_NO_HOST,
    ),
    _cause(
        r"UnknownHostException|Name or service not known|Temporary failure in name resolution",
        *_NO_HOST,
    ),
    _cause(
        r"PKIX path building failed|unable to find valid certification path",
        "Java doesn't trust the certificate of {host}",
        "import the CA's certificate into Java's trust store with `keytool -importcert -cacerts`; "
        "SSL_CERT_FILE means nothing to Java.",
    ),
    _cause(
        r"(?:[Ss]tatus(?: code)?:? |npm (?:ERR!|error) code E)(401|403)\b",
        "{host} refused access to the build (status {0})",
        "give the build the repository's credentials: in ORG_GRADLE_PROJECT_… variables or "
        "gradle.properties for Gradle, in settings.xml for Maven.",
    ),
    _cause(
        r"[Ss]tatus(?: code)?:? 407\b|Proxy Authentication Required",
        "the proxy wants a user name and a password from the build",
        "set the JVM's https.proxyUser and https.proxyPassword.",
    ),
    _cause(
        r"[Ss]tatus(?: code)?:? (429|5\d\d)\b",
        "{host} didn't deliver a library or plugin (status {0})",
        "try again later, or use a mirror.",
    ),
    _cause(
        r"org\.gradle\.wrapper\.(?:Download|Install)",
        "the wrapper could not download Gradle",
        "allow services.gradle.org, or put Gradle into the image and set GRADLE_HOME.",
    ),
    _cause(
        rf"(?:Connect(?:ion)? to (?:https?://)?{_HOST}.*?)?(?:Connection (?:refused|timed out|"
        r"reset)|[Rr]ead timed out|[Cc]onnect timed out|No route to host)",
        "{host} could not be reached",
        "check the network and the proxy.",
    ),
    _cause(
        r"No cached version of (\S+) available for offline mode",
        "{0} is not in Gradle's cache, and the build runs offline",
        "build once with a network and keep GRADLE_USER_HOME, or drop --offline.",
    ),
    _cause(
        r"Cannot access \S+ \(\S+\) in offline mode and the artifact (\S+)",
        "{0} is not in Maven's cache, and the build runs offline",
        "build once with a network and keep ~/.m2, or drop --offline.",
    ),
    _cause(
        r"Dependency verification failed for (.{1,100})",
        "a library is not the one that gradle/verification-metadata.xml expects ({0})",
        "find out which of the two is right; for an intended update, run "
        "`gradle --write-verification-metadata sha256`, review the change, and commit it.",
        REASON,
    ),
    _cause(
        r"Plugin \[id: '([^']+)'(?:, version: '([^']+)')?.*was not found",
        "Gradle could not find the plugin {0} {1}",
        "add the vendor's repository to pluginManagement in settings.gradle; check the version.",
    ),
    _cause(
        r"[Tt]ask '([^']+)' not found in",
        "the project has no task {0}",
        "apply the module plugin in the root project, or name the tasks with --gradle-args.",
    ),
    _cause(
        r"Could not (?:resolve|find) ([^\s:]+:[^\s:]+:[^\s:]+?)\.?$",
        "the library {0} could not be resolved",
        "check its name, its version and the repositories of the build.",
    ),
    _cause(
        r"Plugin ([^\s:]+:[^\s:]+:\S+) or one of its dependencies could not be resolved",
        "Maven could not find the plugin {0}",
        "check its version and the pluginRepositories.",
    ),
    # At the beginning: a compiler repeats sources, in which anything may be written.
    _cause(
        r"^\W*(?:e: |Caused by: |Exception in thread \S+ )?(?:java\.lang\.OutOfMemoryError|"
        r"Java heap space|GC overhead limit exceeded|Metaspace$|Not enough memory to run compil|"
        r"There is insufficient memory for the Java Runtime|Expiring Daemon because JVM)",
        *_NO_MEMORY,
        ANY,
    ),
    _cause(
        r"[Dd]aemon disappeared unexpectedly|finished with non-zero exit value 137",
        "a process of the build was killed, probably for lack of memory",
        _NO_MEMORY[1],
    ),
    _cause(
        r"No space left on device",
        "the disk is full",
        "free some disk space, or move GRADLE_USER_HOME to a larger disk.",
        ANY,
    ),
    _cause(
        rf"Execution failed for task '({_COMPILES})'",
        "the sources don't compile ({0})",
        _FIX_SOURCES,
        is_general=True,
    ),
    _cause(
        r"COMPILATION ERROR|: Compilation failure",
        "the sources don't compile",
        _FIX_SOURCES,
        is_general=True,
    ),
    _cause(
        r"Execution failed for task '((?:\S*:)?\w*[tT]est\w*)'",
        "the project's tests failed ({0})",
        "fix them; the build's log names their report.",
    ),
    _cause(
        r"Failed to execute goal \S*:maven-(?:surefire|failsafe)-plugin:",
        "the project's tests failed",
        "fix them; the build's log names their report.",
    ),
    _cause(
        r"Execution failed for task '((?:\S*:)?signModule)'",
        "the project's own signing failed ({0})",
        "build only `zipModule`; ign-deploy signs the module.",
    ),
    _cause(
        r"Execution failed for task '([^']+)'", "the task {0} failed", _SEE_OUTPUT, is_general=True
    ),
    _cause(
        r"Failed to execute goal (\S+)", "the Maven goal {0} failed", _SEE_OUTPUT, is_general=True
    ),
    _cause(
        r"Could not compile (?:build|settings|initialization) (?:file|script) '([^']+)'",
        "the build script {0} has an error",
        _FIX_SCRIPT,
    ),
    _cause(
        r"Script compilation errors?:",
        "a Kotlin build script has an error",
        _FIX_SCRIPT,
    ),
    _cause(
        r"A problem occurred (?:evaluating|configuring) (.+?)\.?$",
        "Gradle could not configure {0}",
        "see what went wrong in the build's log.",
        is_general=True,
    ),
)

# Most lines of a build show no cause: only one with any of these is compared with all patterns.
_TELLING = (
    "JAVA_HOME", "class file major", "gradle-wrapper.jar", "org.gradle.wrapper", "not found",
    "\\r'", "No such file", "bad interpreter", "Illegal option", "languageVersion=", "jdk [",
    "matching toolchain definitions", "installed toolchains match", "JVM runtime version",
    "release", "nknown", "resolve host", "getaddrinfo", "service not known", "nor servname",
    "in name resolution", "No address associated", "PKIX path", "valid certification path",
    "tatus", "code E", "Proxy Authentication", "Connection ", "timed out", "No route to host",
    "No cached version", "in offline mode", "Dependency verification", "Could not ",
    "could not be resolved", "OutOfMemoryError", "heap space", "GC overhead", "Metaspace",
    "Not enough memory", "insufficient memory", "Expiring Daemon", "disappeared unexpectedly",
    "exit value 137", "No space left", "Execution failed for task", "COMPILATION ERROR",
    "Compilation failure", "Failed to execute goal", "cript compilation error",
    "A problem occurred",
)  # fmt: skip
_SHOWN = {
    shows: [(rank, cause) for rank, cause in enumerate(CAUSES) if shows in cause.shows]
    for shows in (Shows.REASON, Shows.OUTPUT, Shows.COMPILER)
}
_URL_HOST = re.compile(r"https?://(?:[^\s/@]{1,200}@)?([\w.-]{1,253})")


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a line means; ``rank`` is the place of its cause among the known ones."""

    rank: int
    meaning: str
    hint: str

    @property
    def is_general(self) -> bool:
        """Whether it says only which step failed."""
        return CAUSES[self.rank].is_general

    @property
    def is_of_compiler(self) -> bool:
        """Whether a compiler's errors say more."""
        return CAUSES[self.rank].hint == _FIX_SOURCES

    @property
    def is_of_script(self) -> bool:
        """Whether the place in the build script says more."""
        cause = CAUSES[self.rank]
        return cause.hint == _FIX_SCRIPT or cause.meaning.startswith("Gradle could not configure")


def explain_line(
    line: str, *, shows: Shows, below: int = len(CAUSES), host: str = ""
) -> Explanation | None:
    """Return the first known cause that the line shows, None if there is none before ``below``."""
    for word in _TELLING:  # faster than any()
        if word in line:
            break
    else:
        return None
    for rank, cause in _SHOWN[shows]:
        if rank >= below:
            break
        if (match := cause.pattern.search(line)) is not None:
            host = match.groupdict().get("host") or last_host(line) or host
            groups = [shown_text(text or "") for text in match.groups()]
            meaning = cause.meaning.format(*groups, host=shown_text(host) or "a server")
            return Explanation(rank, meaning.rstrip(" :"), cause.hint.format(*groups))
    return None


def explain_all(lines: Iterable[str], *, shows: Shows) -> Explanation | None:
    """Return the first known cause that any of the lines shows."""
    best: Explanation | None = None
    host = ""
    for line in lines:
        below = len(CAUSES) if best is None else best.rank
        best = explain_line(line, shows=shows, below=below, host=host) or best
        host = last_host(line) or host
    return best


def last_host(line: str) -> str:
    """Return the host of the last URL in a line."""
    found = _URL_HOST.findall(line)
    return str(found[-1]) if found else ""
