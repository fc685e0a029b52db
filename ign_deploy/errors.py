"""The exceptions of ign-deploy; each class owns a stable code and an exit code.

    IgnDeployError            internal       1   a bug in ign-deploy
    ├── ConfigurationError    configuration  2   settings, options, usage
    ├── PackagingError        packaging      3   the project could not be built
    ├── SigningError          signing        4   the module could not be signed
    │   └── IdentityError     identity       4   key, certificate, keystore or password
    ├── VerificationError     verification   5   a module is not what it should be (findings)
    ├── RepositoryError       repository     6   the repository refused a request or failed
    │   ├── VersionConflict   conflict       6   the version is published with different bytes
    │   └── NotInRepository   not-found      6   no such module or version
    ├── DeploymentError       deployment     7   a gateway refused a request, or a deployment failed
    │   └── RollbackError     rollback       8   the rollback failed too: needs manual repair
    ├── NetworkError          network        9   no connection, timeout or TLS failure
    └── CombinedError         preflight      2   several of these at once, with their exit code

A message says what failed, on what and why; the hint says what to do, in the imperative, each step
on a line of its own. Neither ever contains a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pydantic import ValidationError

    from ign_deploy.module.findings import Finding


class IgnDeployError(Exception):
    """Base of every error that ign-deploy raises on purpose.

    ``causes`` holds the errors that this one sums up, if there are several.
    """

    code: str = "internal"
    exit_code: int = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.causes: tuple[IgnDeployError, ...] = ()


class ConfigurationError(IgnDeployError):
    """A setting, an option or the usage is wrong."""

    code = "configuration"
    exit_code = 2


class PackagingError(IgnDeployError):
    """The project could not be turned into a module.

    ``mistakes`` are the errors in its sources that the build names, each with the path of its file;
    the first one is in the message as well, and has the error's hint.
    """

    code = "packaging"
    exit_code = 3

    def __init__(
        self, message: str, *, hint: str = "", mistakes: Sequence[tuple[Finding, str]] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.mistakes = tuple(mistakes)


class SigningError(IgnDeployError):
    """The module could not be signed."""

    code = "signing"
    exit_code = 4


class IdentityError(SigningError):
    """The signing key, its certificates, the keystore or a password can't be used."""

    code = "identity"


class VerificationError(IgnDeployError):
    """A module is not what it should be.

    ``findings`` holds every reason, worst first; the message sums them up. ``file`` is the path of
    the module as it was given; an open archive fills it in.
    """

    code = "verification"
    exit_code = 5

    def __init__(self, message: str, *, hint: str = "", findings: Sequence[Finding] = ()) -> None:
        super().__init__(message, hint=hint)
        self.findings: tuple[Finding, ...] = tuple(findings)
        self.file = ""

    @classmethod
    def from_findings(cls, *findings: Finding, about: str = "", hint: str = "") -> Self:
        """Sum up one or more findings: the first of the worst, and how many more there are.

        ``about`` begins the message, such as a file's name; ``hint`` replaces the finding's own.
        """
        ordered = sorted(findings, key=lambda finding: finding.severity)
        first = ordered[0]
        more = sum(finding.severity == first.severity for finding in ordered) - 1
        message = with_subject(about, first.message)
        if more:
            message += f" (and {more} more)"
        return cls(message, hint=hint or first.hint, findings=ordered)


def docs_url(page: str) -> str:
    """Return the address of a page of the documentation, which users of the image don't have."""
    return f"https://github.com/org/ign-deploy/blob/v1/docs/{page}"


def numbered_lines(hint: str) -> list[str]:
    """Return the steps of a hint, numbered if there are several."""
    steps = [step for step in hint.splitlines() if step.strip()]
    if len(steps) < 2:
        return steps
    return [f"{number}. {step}" for number, step in enumerate(steps, start=1)]


def with_subject(subject: str, message: str) -> str:
    """Return ``subject: message``, naming nothing twice.

    Of a subject with parts (``module.xml: version``), the message may name the first, or begin with
    the last one.
    """
    whole, *parts = subject.split(": ")
    if not subject or _names(message, whole):
        return message
    if parts and re.match(rf"{re.escape(parts[-1])}(?![\w-])", message):
        subject = ": ".join((whole, *parts[:-1]))
    return f"{subject}: {message}"


def _names(message: str, subject: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(subject)}(?![\w-])", message) is not None


class RepositoryError(IgnDeployError):
    """The repository refused a request or could not serve it."""

    code = "repository"
    exit_code = 6


class VersionConflict(RepositoryError):
    """The version is already published with different bytes; nothing was changed."""

    code = "conflict"


class NotInRepository(RepositoryError):
    """The repository has no such module or version."""

    code = "not-found"


class DeploymentError(IgnDeployError):
    """A gateway refused a request, or a deployment failed; gateways run what they ran before."""

    code = "deployment"
    exit_code = 7


class RollbackError(DeploymentError):
    """A deployment failed and so did its rollback: the gateway needs manual repair."""

    code = "rollback"
    exit_code = 8


class NetworkError(IgnDeployError):
    """A host could not be reached, or the connection failed until the deadline."""

    code = "network"
    exit_code = 9


class CombinedError(IgnDeployError):
    """Several things are wrong at once; ``causes`` holds each of them, in order.

    The exit code is theirs when they agree on one, else ``mixed_exit_code``. Its code says when
    they were found: in the ``preflight``, before anything was changed, or in the work of a
    ``batch``.
    """

    code = "preflight"
    exit_code = 2

    def __init__(
        self,
        message: str,
        *,
        causes: Sequence[IgnDeployError],
        hint: str = "fix what is listed and run again.",
        code: str = "preflight",
        mixed_exit_code: int = 2,
    ) -> None:
        super().__init__(message, hint=hint)
        self.causes = tuple(causes)
        self.code = code
        exit_codes = {cause.exit_code for cause in causes}
        self.exit_code = exit_codes.pop() if len(exit_codes) == 1 else mixed_exit_code


def only_cause(problem: IgnDeployError) -> IgnDeployError:
    """Return the one error that this one sums up, if it is a single one, else this one."""
    while len(problem.causes) == 1:
        problem = problem.causes[0]
    return problem


def reworded(problem: IgnDeployError, *, message: str, hint: str) -> IgnDeployError:
    """Return the same problem in other words."""
    # Not through the constructor: some kinds take more than a message.
    copy = type(problem).__new__(type(problem), message)
    vars(copy).update(vars(problem))
    copy.message, copy.hint = message, hint
    return copy


def explain_validation(cause: ValidationError) -> str:
    """Return what is wrong and where, without the values, which are untrusted or secret."""
    problems = cause.errors(include_input=False, include_url=False, include_context=False)
    shown = [
        f"{'.'.join(_printable(part) for part in problem['loc']) or 'the document'}: "
        f"{problem['msg']}"
        for problem in problems[:5]
    ]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return "; ".join(shown)


def _printable(part: int | str) -> str:
    return ascii(part)[1:61].rstrip("'") if isinstance(part, str) else str(part)
