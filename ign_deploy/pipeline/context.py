"""The run context: everything a run has, each thing acquired once, when it is first needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from ign_deploy.pipeline.audit_log import AuditLog
from ign_deploy.pipeline.provenance import Provenance, read_provenance
from ign_deploy.pipeline.run_report import RunReport
from ign_deploy.pipeline.workspace import Once, Workspace, read_trust
from ign_deploy.report import Reporter
from ign_deploy.settings import JOB_TOKENS, Settings

if TYPE_CHECKING:
    from ign_deploy.deployment.history import History
    from ign_deploy.pipeline.events import RunEvents
    from ign_deploy.repositories import Repository
    from ign_deploy.repositories.access import Access
    from ign_deploy.signing.identity import SigningIdentity

# In the working directory, not beside whatever PATH was given: every command finds the same one,
# and in a CI job it lies inside the workspace, where it can be kept.
DEFAULT_REPOSITORY = "module-repository"


@dataclass(frozen=True, slots=True)
class PublishedText:
    """What the user and the CI host say about a release or deployment, without secrets."""

    notes: str
    description: str
    documentation_url: str
    tags: tuple[str, ...]
    provenance: Provenance


class CommandLine(Protocol):
    """Returns a command line that has the options of this run's own."""

    def __call__(self, name: str, arguments: Sequence[str], *, environment: str = "") -> str:
        """Return it for the command ``name``; ``environment`` is another target."""


@dataclass(frozen=True, slots=True)
class RunContext:
    """What the stages of a run work with; they take it and their input, nothing else.

    Copies share what was acquired. ``now`` is when the run began; ``redact`` replaces secrets in
    text that leaves the machine; ``command_line`` is None if the run has none; ``verbose`` asks for
    details. Only ``report``,
    ``audit`` and ``events`` change: they hold what happened. Close it when the run ends.
    """

    settings: Settings
    env: Mapping[str, str] = field(repr=False)
    now: datetime
    report: RunReport
    redact: Callable[[str], str]
    workspace: Workspace
    provenance: Provenance
    audit: AuditLog
    command_line: CommandLine | None
    verbose: bool
    _folder: Once[Path]
    _repository: Once[Repository]
    _baseline: Once[Repository]
    _history: Once[History]
    _events: Once[RunEvents]
    _identity: Once[SigningIdentity]
    _resources: ExitStack

    @property
    def reporter(self) -> Reporter:
        """Where the run says what happens."""
        return self.report.reporter

    @property
    def repository(self) -> Repository:
        """The repository to work with: one session and one probe for the whole run."""
        return self._repository.get()

    @property
    def published(self) -> PublishedText:
        """What records, bundles and events may say: nothing else of the kind is published."""
        settings, redact = self.settings, self.redact
        return PublishedText(
            notes=redact(self.workspace.notes),
            description=redact(settings.description),
            documentation_url=redact(settings.documentation_url),
            tags=tuple(map(redact, settings.tags)),
            provenance=self.provenance.redacted(redact),
        )

    @property
    def history(self) -> History:
        """The deployments that the repository has on record; it warns of each problem once."""
        return self._history.get()

    def require_repository(self) -> None:
        """Raise RepositoryError if the repository can't be reached or doesn't exist.

        For commands that found nothing: an empty folder isn't the same as a missing one.
        """
        if not self.repository.exists():
            from ign_deploy.errors import NotInRepository

            raise NotInRepository(
                f"there is no repository at {self.repository.location}",
                hint="correct --repository-url, or run the command where the repository is.",
            )

    @property
    def baseline(self) -> Repository:
        """The repository to compare with: the real one, even in a rehearsal."""
        return self._baseline.get()

    @property
    def events(self) -> RunEvents:
        """The events of the run; raises ConfigurationError for invalid settings."""
        return self._events.get()

    @property
    def identity(self) -> SigningIdentity:
        """The signing key and its certificates: one session with its token for the whole run.

        Raises IdentityError with the reason and what to do.
        """
        return self._identity.get()

    @property
    def folder(self) -> Path:
        """A private folder outside the workspace, removed when the run ends."""
        return self._folder.get()

    def with_settings(self, **changes: object) -> Self:
        """Return a copy with other settings, for those that say what to do, not where."""
        return replace(self, settings=self.settings.model_copy(update=changes))

    def with_report(self, report: RunReport) -> Self:
        """Return a copy that reports somewhere else, as each path of a batch does."""
        return replace(self, report=report)

    def close(self) -> None:
        """End the session of the signing key, and remove the private folder."""
        self._resources.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def start_run(
    settings: Settings,
    *,
    env: Mapping[str, str],
    report: RunReport,
    now: datetime | None = None,
    redact: Callable[[str], str] = str,
    command_line: CommandLine | None = None,
    verbose: bool = False,
) -> RunContext:
    """Return the context of a new run; nothing is read or opened yet.

    Raises ConfigurationError if a config file that was only found names a file elsewhere to write.
    """
    outside = (name for name in ("metrics_file", "audit_file") if _is_outside(settings, name))
    settings.require_named(*outside, decides="which file outside the working folder is written")
    resources = ExitStack()
    folder = Once(partial(_make_private_folder, resources))
    workspace = Workspace(
        notes=settings.notes,
        notes_file=settings.notes_file,
        trust=lambda: read_trust(settings.trust_anchor, allow_expired=settings.accepts_expired()),
        ca_files=_ca_files(settings),
        folder=folder.get,
        default_ca=env.get("SSL_CERT_FILE", "").strip(),
        warn=report.reporter.warning,
    )
    provenance = read_provenance(env, environment=settings.environment)
    now = now or datetime.now(UTC)
    audit = AuditLog(settings.audit_file, provenance, report.reporter, redact)
    access = partial(_repository_access, settings, env, workspace, report)
    repository = Once(partial(_open_repository, repository_url(settings), settings, access))
    return RunContext(
        settings=settings,
        env=env,
        now=now,
        report=report,
        redact=redact,
        workspace=workspace,
        provenance=provenance,
        audit=audit,
        command_line=command_line,
        verbose=verbose,
        _folder=folder,
        _repository=repository,
        _baseline=repository,
        _history=Once(partial(_open_history, repository, report, redact)),
        _events=Once(partial(_open_events, settings, env, workspace, audit)),
        _identity=Once(partial(_load_identity, settings, env, report, now, resources)),
        _resources=resources,
    )


def _is_outside(settings: Settings, name: str) -> bool:
    """Return whether a setting, if given, names a file that isn't in the working folder."""
    path = getattr(settings, name)
    return bool(path) and not Path(path).resolve().is_relative_to(Path.cwd().resolve())


def start_rehearsal(settings: Settings, real: RunContext) -> RunContext:
    """Return a context with other settings that reports to the real run, and compares with it."""
    rehearsed = start_run(
        settings, env=real.env, report=real.report, now=real.now, redact=real.redact
    )
    return replace(rehearsed, _baseline=real._baseline)


def repository_url(settings: Settings) -> str:
    """Return the repository's URL or folder."""
    return settings.repository_url or DEFAULT_REPOSITORY


def open_mirror_source(url: str, context: RunContext) -> Repository:
    """Open the repository to mirror, which has its own credentials."""
    settings = context.settings
    access = replace(
        _repository_access(settings, context.env, context.workspace, context.report),
        token=settings.source_token.get_secret_value().strip(),
        username=settings.source_username,
        password=settings.source_password.get_secret_value(),
    )
    return _open_repository(url, settings, lambda: access)


def _open_repository(url: str, settings: Settings, access: Callable[[], Access]) -> Repository:
    from ign_deploy.repositories.backends import open_repository

    opened = access()
    _require_named_host(url, settings, opened)
    return open_repository(url, access=opened)


def _require_named_host(url: str, settings: Settings, access: Access) -> None:
    """Raise ConfigurationError if only a config file that was found says who gets credentials.

    A CI host's own tokens go to that host alone, but whoever names the CA could pose as it. The
    keys of S3 come from many places, and go to the endpoint that the URL names.
    """
    scheme = url.partition("://")[0] if "://" in url else ""
    if scheme in ("", "file"):
        return
    is_given = bool(access.token or access.password)
    decides = "which host gets the credentials of the repository"
    if url == settings.repository_url and (is_given or (scheme == "s3" and "endpoint=" in url)):
        settings.require_named("repository_url", decides=decides)
    if is_given or scheme == "s3" or any(access.env.get(name) for name in JOB_TOKENS):
        settings.require_named("repository_ca", decides=decides)


def _open_history(
    repository: Once[Repository], report: RunReport, redact: Callable[[str], str]
) -> History:
    from ign_deploy.deployment.history import History

    ledger = repository.get().maintenance.ledger
    return History(ledger, reporter=report.reporter, redact=redact)


def _repository_access(
    settings: Settings, env: Mapping[str, str], workspace: Workspace, report: RunReport
) -> Access:
    from ign_deploy.repositories.access import Access

    return Access(
        token=settings.repository_token.get_secret_value().strip(),
        username=settings.repository_username,
        password=settings.repository_password.get_secret_value(),
        ca=workspace.ca_file(settings.repository_ca),
        env=env,
        cache=Path(settings.cache_dir) if settings.cache_dir else None,
        reporter=report.reporter,
    )


def _open_events(
    settings: Settings, env: Mapping[str, str], workspace: Workspace, audit: AuditLog
) -> RunEvents:
    from ign_deploy.pipeline.events import open_events

    ca = workspace.ca_file(settings.notification_ca)
    return open_events(settings, env=env, ca=ca, audit=audit)


def _load_identity(
    settings: Settings,
    env: Mapping[str, str],
    report: RunReport,
    now: datetime,
    resources: ExitStack,
) -> SigningIdentity:
    from ign_deploy.pipeline.identity import load_signing_identity

    identity = load_signing_identity(settings, env=env, reporter=report.reporter, now=now)
    resources.callback(identity.close)
    return identity


def _ca_files(settings: Settings) -> list[str]:
    named = [settings.repository_ca, settings.notification_ca, settings.gateway_ca]
    return [path for path in (*named, *(entry.ca for entry in settings.gateways)) if path]


def _make_private_folder(resources: ExitStack) -> Path:
    import tempfile

    return Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="ign-deploy-")))
