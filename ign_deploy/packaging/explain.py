"""Why a build failed, in one sentence, and what to do: Gradle and Maven always exit with 1."""

from __future__ import annotations

import re
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Cause:
    """A known cause: the line that reveals it, what it means, and what to do.

    ``{0}``, ``{1}`` in the texts stand for the pattern's groups.
    """

    pattern: re.Pattern[str]
    meaning: str
    hint: str


def _cause(pattern: str, meaning: str, hint: str) -> Cause:
    return Cause(re.compile(pattern), meaning, hint)


# The first in this list wins: a network failure also shows up as an unresolved library.
_CAUSES = (
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
    _cause(
        r"(?:UnknownHostException:? *|Name or service not known:? *|nodename nor servname|"
        r"Temporary failure in name resolution)(\S*)",
        "a host could not be resolved: the build has no network or no DNS {0}",
        "check the network, or set HTTPS_PROXY and the JVM's https.proxyHost.",
    ),
    _cause(
        r"org\.gradle\.wrapper\.(?:Download|Install)",
        "the wrapper could not download Gradle",
        "allow services.gradle.org, or put Gradle into the image and set GRADLE_HOME.",
    ),
    _cause(
        r"(?:Connection (?:refused|timed out|reset)|Read timed out|PKIX path building failed)",
        "a server for libraries or plugins could not be reached",
        "check the network, the proxy and the certificates that Java trusts.",
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
    _cause(
        r"(?:OutOfMemoryError|Java heap space|GC overhead limit exceeded)",
        "the build ran out of memory",
        "raise org.gradle.jvmargs (-Xmx) in gradle.properties, or use a larger runner.",
    ),
    _cause(
        r"No space left on device",
        "the disk is full",
        "free some disk space, or move GRADLE_USER_HOME to a larger disk.",
    ),
    _cause(
        r"Execution failed for task '((?:\S*:)?compile\w*)'",
        "the sources don't compile ({0})",
        "fix the compiler errors above.",
    ),
    _cause(
        r"COMPILATION ERROR",
        "the sources don't compile",
        "fix the compiler errors above.",
    ),
    _cause(
        r"Execution failed for task '((?:\S*:)?test\w*)'",
        "the project's tests failed ({0})",
        "fix them; the output above names their report.",
    ),
    _cause(
        r"Execution failed for task '((?:\S*:)?signModule)'",
        "the project's own signing failed ({0})",
        "build only `zipModule`; ign-deploy signs the module.",
    ),
    _cause(r"Execution failed for task '([^']+)'", "the task {0} failed", "see its output above."),
    _cause(r"Failed to execute goal (\S+)", "the Maven goal {0} failed", "see its output above."),
    _cause(
        r"Could not compile (?:build|settings|initialization) (?:file|script) '([^']+)'",
        "the build script {0} has an error",
        "fix the line named above.",
    ),
    _cause(
        r"A problem occurred (?:evaluating|configuring) (.+?)\.?$",
        "Gradle could not configure {0}",
        "see what went wrong above.",
    ),
)


# Characters of a line that are searched: a build can write lines on which patterns are slow.
_LONGEST_LINE = 1000


@dataclass(slots=True)
class FailureWatch:
    """Watches a build's output, and remembers the most telling line."""

    _rank: int = field(default=len(_CAUSES))
    _meaning: str = ""

    def see(self, line: str) -> None:
        """Look at one more line."""
        for rank, cause in enumerate(_CAUSES[: self._rank]):
            match = cause.pattern.search(line[:_LONGEST_LINE])
            if match is not None:
                groups = [_shown(text or "") for text in match.groups()]
                self._rank, self._meaning = rank, cause.meaning.format(*groups).rstrip(" :")
                return

    @property
    def meaning(self) -> str:
        """What went wrong, as a clause; empty when no line was understood."""
        return self._meaning

    @property
    def hint(self) -> str:
        """What to do about it."""
        return _CAUSES[self._rank].hint if self._meaning else "read the build's output above."


def _shown(text: str) -> str:
    """Make untrusted text safe for a message."""
    return "".join(character if character.isprintable() else "?" for character in text[:200])
