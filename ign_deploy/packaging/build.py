"""From a project to its unsigned modules: run the build, find what it made, rewrite it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ign_deploy.errors import PackagingError, VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.artifacts import UnsignedModule
from ign_deploy.module.dependencies import repeated_id
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.descriptor_checks import asked_id, asked_version
from ign_deploy.module.findings import Finding, error, info
from ign_deploy.module.packer import DosTime, Member, pack
from ign_deploy.module.rule_context import Expectations, RuleContext
from ign_deploy.module.signature import SIGNATURE_FILES
from ign_deploy.packaging.artifacts import (
    Snapshot,
    find_artifacts,
    reject_lfs_pointer,
    take_snapshot,
    unsigned_name,
)
from ign_deploy.packaging.commands import (
    build_command,
    format_command,
    module_list,
    write_init_script,
)
from ign_deploy.packaging.explain import FailureWatch, build_error
from ign_deploy.packaging.folder import (
    folder_members,
    folder_module_name,
    read_folder_descriptor,
)
from ign_deploy.packaging.isolation import (
    IsolateMode,
    Sandbox,
    choose_isolation,
    open_sandbox,
)
from ign_deploy.packaging.java import is_java_home, java_command
from ign_deploy.packaging.project import Project, ProjectKind
from ign_deploy.packaging.protected import Protected, requiring_in_place
from ign_deploy.process import ProcessesLeft, ProcessTimeout, build_environment, run_command
from ign_deploy.report import Reporter, SilentReporter

# Lines are passed on in batches: on a CI host, each batch is wrapped in commands of its own.
_BATCH = 50
_BATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class PackageOptions:
    """How to build.

    ``arguments`` replace ``clean zipModule``, or precede it when they name no task. ``timeout`` and
    ``grace`` (from TERM to KILL) are in seconds. Empty ``expected_…`` match anything. See
    ``isolation`` for ``isolate``. ``verbose``: Gradle shows its stack traces.
    """

    output_dir: Path = Path("dist")
    arguments: tuple[str, ...] = ()
    expected_version: str = ""
    expected_id: str = ""
    timeout: float = 1800
    grace: float = 5
    isolate: IsolateMode = "auto"
    protected: Protected = field(default_factory=Protected)
    verbose: bool = False


def package_project(
    project: Project,
    *,
    options: PackageOptions,
    env: Mapping[str, str],
    reporter: Reporter | None = None,
) -> tuple[UnsignedModule, ...]:
    """Build the project and return its modules, ordered by file name.

    They are written into ``options.output_dir`` as ``X.unsigned.modl``; a prebuilt module is used
    as it is. Equal sources give equal bytes. Nothing is written when the build fails, makes
    nothing, or makes something unexpected. Raises PackagingError, and
    VerificationError for a file that isn't a module, for the wrong version or id, and for modules
    that can't be distinguished.
    """
    if project.kind is ProjectKind.FOLDER:
        return (_pack_folder(project, options, env),)
    timestamp = DosTime.from_environment(env)
    made = project.files or _Build(project, options, env, reporter or SilentReporter()).run()
    candidates = sorted(map(_read_candidate, made), key=lambda candidate: candidate.output_name)
    _require_distinct(candidates)
    _require_expected(candidates, version=options.expected_version, module_id=options.expected_id)
    if project.kind is ProjectKind.PREBUILT:
        return tuple(UnsignedModule(each.path, each.descriptor, each.sha256) for each in candidates)
    return tuple(
        _rewrite(candidate, output_dir=options.output_dir, timestamp=timestamp)
        for candidate in candidates
    )


def _pack_folder(
    project: Project, options: PackageOptions, env: Mapping[str, str]
) -> UnsignedModule:
    descriptor = read_folder_descriptor(project.root)
    output = options.output_dir / folder_module_name(descriptor)
    _require_expected(
        [_Candidate(output, descriptor)],
        version=options.expected_version,
        module_id=options.expected_id,
    )
    members = folder_members(project.root, descriptor)
    sha256, _ = pack(members, output, timestamp=DosTime.from_environment(env))
    return UnsignedModule(output, descriptor, sha256)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A file that a build made, is to make, or that the user passed, and its descriptor."""

    path: Path
    descriptor: ModuleDescriptor
    sha256: str = ""
    has_signature: bool = False

    @property
    def output_name(self) -> str:
        """The name of the unsigned module made of it."""
        return unsigned_name(self.path)


def _read_candidate(path: Path) -> _Candidate:
    """Open a module and read its descriptor; raises our errors for anything else."""
    reject_lfs_pointer(path)
    with Archive.open(path) as archive:
        signature = any(entry.name in SIGNATURE_FILES for entry in archive.entries)
        return _Candidate(path, read_descriptor(archive), archive.digest(), signature)


def _require_distinct(candidates: Sequence[_Candidate]) -> None:
    """Raise VerificationError when two modules share an id, or would become the same file."""
    findings: list[Finding] = []
    for first, second in itertools.combinations(candidates, 2):
        both = f"{first.path} and {second.path}"
        if first.descriptor.id == second.descriptor.id:
            finding = repeated_id(first.descriptor.id, first.path, second.path, action="build")
            findings.append(replace(finding, location=second.path.name))
        if first.output_name.lower() == second.output_name.lower():
            findings.append(
                error(
                    "file-name-repeated",
                    f"{both} would both become {second.output_name}",
                    location=second.path.name,
                    hint="give each module its own fileName.",
                )
            )
    _reject(findings)


def _require_expected(candidates: Sequence[_Candidate], *, version: str, module_id: str) -> None:
    """Raise VerificationError when a module doesn't have the requested version or id.

    Empty means any. Builds may silently ignore the version that they are given.
    """
    expected = Expectations(version or None, module_id or None)
    findings: list[Finding] = []
    for candidate in candidates:
        context = RuleContext(candidate.descriptor, {}, {}, expected)
        findings += (*asked_version(context), *asked_id(context))
    _reject(findings)


def _rewrite(candidate: _Candidate, *, output_dir: Path, timestamp: DosTime) -> UnsignedModule:
    """Write the module reproducibly, without any signature, into ``output_dir``."""
    output = output_dir / candidate.output_name
    with Archive.open(candidate.path) as archive:
        sha256, _ = pack(_members(archive), output, timestamp=timestamp)
        findings = archive.findings
    if candidate.has_signature:
        dropped = info(
            "signature-dropped",
            f"the build signed {candidate.path.name} itself; that signature was dropped",
            location=candidate.path.name,
            hint="build only `zipModule`, or pass the module's own path to release it as it is.",
        )
        findings = (*findings, dropped)
    return UnsignedModule(output, candidate.descriptor, sha256, findings)


def _members(archive: Archive) -> Iterator[Member]:
    for entry in archive.entries:
        if not entry.is_directory and entry.name not in SIGNATURE_FILES:
            yield Member(entry.name, (archive, entry))


def _reject(findings: Sequence[Finding]) -> None:
    if findings:
        raise VerificationError.from_findings(*findings)


@dataclass(frozen=True, slots=True)
class _Build:
    """One run of a project's build tool."""

    project: Project
    options: PackageOptions
    env: Mapping[str, str]
    reporter: Reporter

    def run(self) -> Sequence[Path]:
        """Build, and return the modules that it made; raises PackagingError."""
        isolation = choose_isolation(self.options.isolate, project=self.project, env=self.env)
        self.reporter.info(isolation.describe())
        before = take_snapshot(self.project.root)
        protected = self.options.protected
        try:
            with open_sandbox(
                self.project, isolation=isolation, env=self.env, protected=protected
            ) as sandbox:
                self._report_exposed(sandbox)
                return self._build_in(sandbox, before)
        except ProcessesLeft as cause:
            raise PackagingError(
                f"{cause}, so its result can't be trusted",
                hint="see which processes are left (ps -ef), and what starts them.",
            ) from cause

    def _report_exposed(self, sandbox: Sandbox) -> None:
        if sandbox.exposed:
            text = f"the build can read {sandbox.exposed}, which holds a secret of this job"
            if self.options.isolate == "require":
                raise PackagingError(text, hint="make the file readable for its owner only.")
            self.reporter.warning(text)

    def _build_in(self, sandbox: Sandbox, before: Snapshot) -> Sequence[Path]:
        project, arguments = self.project, self.options.arguments
        private = sandbox.private
        if project.kind.is_gradle:
            write_init_script(private)
        command = build_command(
            project,
            arguments=arguments,
            env=self.env,
            private=private,
            verbose=self.options.verbose,
        )
        outputs, kept = [self.options.output_dir], self.options.protected.kept
        with requiring_in_place(project.root, outputs=outputs, kept=kept):
            self._run_command(sandbox, command)
        return find_artifacts(project.root, before=before, module_list=module_list(private))

    def _run_command(self, sandbox: Sandbox, command: Sequence[str]) -> None:
        """Run the build tool; raises PackagingError that explains why it failed."""
        name, timeout = self.project.kind.value, self.options.timeout
        self.reporter.info(f"running {format_command(command)}")
        watch = FailureWatch()
        output = _Batches(self.reporter.untrusted)

        def on_line(line: str) -> None:
            watch.see(line)
            output.add(line)

        title = f"building {self.project.root.absolute().name}"
        try:
            with self.reporter.waiting(title, limit=timeout):
                completed = run_command(
                    command,
                    cwd=self.project.root,
                    env=self._environment(sandbox),
                    account=sandbox.account,
                    timeout=timeout,
                    grace=self.options.grace,
                    on_line=on_line,
                    on_silence=output.flush,
                )
        except ProcessTimeout as cause:
            raise PackagingError(
                f"{name} did not finish within {timeout:g} s and was stopped",
                hint="see its last lines in the log, or allow more time with --build-timeout.",
            ) from cause
        finally:
            output.flush()
        if completed.returncode != 0:
            why = f": {watch.meaning}" if watch.meaning else ""
            raise build_error(
                f"{name} failed (exit code {completed.returncode}){why}",
                watch,
                root=self.project.root,
            )

    def _environment(self, sandbox: Sandbox) -> dict[str, str]:
        """Return the build's environment, without a dead JAVA_HOME when there is another Java."""
        warn, env = self.reporter.warning, self.env
        named, used = env.get("GRADLE_USER_HOME", ""), sandbox.variables.get("GRADLE_USER_HOME", "")
        if named and used and named != used:
            warn(f"GRADLE_USER_HOME is {named!r}, which can't be used here; using {used}")
        built = build_environment(env, extra=sandbox.variables)
        home = built.get("JAVA_HOME", "")
        if home and not is_java_home(home) and java_command(env) is not None:
            warn(f"JAVA_HOME is {home!r}, which has no Java; using {java_command(env)}")
            del built["JAVA_HOME"]
        return built


@dataclass(slots=True)
class _Batches:
    """Collects lines and passes them on together, often enough for a person watching."""

    emit: Callable[[Sequence[str]], None]
    _lines: list[str] = field(default_factory=list)
    _last: float = field(default_factory=time.monotonic)

    def add(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) >= _BATCH or time.monotonic() - self._last > _BATCH_SECONDS:
            self.flush()

    def flush(self) -> None:
        if self._lines:
            self.emit(tuple(self._lines))
            self._lines.clear()
        self._last = time.monotonic()
