"""Validation: everything wrong with a module that can be seen without a gateway, as findings."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from tempfile import SpooledTemporaryFile

from ign_deploy.errors import ConfigurationError, VerificationError
from ign_deploy.files import os_error_reason
from ign_deploy.module.archive import Archive
from ign_deploy.module.descriptor import ModuleDescriptor, read_descriptor
from ign_deploy.module.descriptor_checks import DESCRIPTOR_RULES
from ign_deploy.module.file_checks import FILE_RULES
from ign_deploy.module.findings import Finding, bounded, error, quoted, warning, worst_first
from ign_deploy.module.jar import JarFacts, UnreadableJarError, inspect_jar, is_packed
from ign_deploy.module.parallel import map_parallel, usable_processors
from ign_deploy.module.rule_context import Expectations, RuleContext
from ign_deploy.module.zip_entry import ZipEntry

RULES = (*DESCRIPTOR_RULES, *FILE_RULES)

# Jars up to this size are read in memory, larger ones through a temporary file; bytes.
_IN_MEMORY = 8 << 20


def check_module(
    archive: Archive,
    *,
    expected_version: str | None = None,
    expected_id: str | None = None,
    signed: bool | None = None,
    is_release: bool = False,
) -> tuple[Finding, ...]:
    """Read every byte of the module and return what is wrong with it, worst first.

    The archive's own findings are included. ``signed`` only says whether signature files must be
    there; whether they are valid is checked by the verifier. Memory stays bounded whatever the
    size of the module. Raises ConfigurationError when there is no room for temporary files.
    """
    expected = Expectations(expected_version, expected_id, signed, is_release)
    findings: list[Finding] = list(archive.findings)
    descriptor: ModuleDescriptor | None = None
    try:
        descriptor = read_descriptor(archive)
    except VerificationError as problem:
        findings += problem.findings
    jars, problems = _read_everything(archive, descriptor)
    # A damaged module.xml is found twice: by reading the descriptor, and with all the entries.
    findings = [*dict.fromkeys((*findings, *problems))]
    if descriptor is not None:
        files = {entry.name: None for entry in archive.entries if not entry.is_directory}
        context = RuleContext(descriptor, files, jars, expected)
        findings += apply_rules(context)
    return worst_first(bounded(findings))


def apply_rules(context: RuleContext) -> Iterator[Finding]:
    """Apply every rule, in order."""
    for rule in RULES:
        yield from rule(context)


def _read_everything(
    archive: Archive, descriptor: ModuleDescriptor | None
) -> tuple[dict[str, JarFacts], list[Finding]]:
    """Return the facts of the listed jars that open, and a finding per damaged entry."""
    listed: frozenset[str] = frozenset()
    wanted: frozenset[str] = frozenset()
    if descriptor is not None:
        listed = frozenset((*(jar.path for jar in descriptor.jars), *descriptor.exports))
        wanted = frozenset(hook.class_name for hook in descriptor.hooks)
    files = [entry for entry in archive.entries if not entry.is_directory]
    read = partial(_read_entry, archive, listed, wanted)
    jars: dict[str, JarFacts] = {}
    problems: list[Finding] = []
    results = map_parallel(read, files, workers=usable_processors())
    for entry, (facts, damage) in zip(files, results, strict=True):
        problems += damage
        if facts is not None:
            jars[entry.name] = facts
    return jars, problems


def _read_entry(
    archive: Archive, listed: frozenset[str], wanted: frozenset[str], entry: ZipEntry
) -> tuple[JarFacts | None, tuple[Finding, ...]]:
    try:
        if entry.name in listed:
            return _read_jar(archive, entry, wanted), ()
        for _ in archive.chunks(entry):
            pass  # CRC and size are checked at the end
    except VerificationError as problem:
        return None, problem.findings
    except _PackedJarError:
        return None, (_packed(entry),)
    except UnreadableJarError as problem:
        return None, (_unreadable(entry, problem),)
    return None, ()


def _read_jar(archive: Archive, entry: ZipEntry, wanted: frozenset[str]) -> JarFacts:
    try:
        with SpooledTemporaryFile(max_size=_IN_MEMORY) as stream:
            for chunk in archive.chunks(entry):
                stream.write(chunk)
            if is_packed(entry.name, stream):
                raise _PackedJarError
            return inspect_jar(stream, wanted=wanted)
    except OSError as cause:
        raise ConfigurationError(
            f"cannot unpack {quoted(entry.name)} into a temporary file: {os_error_reason(cause)}",
            hint="free disk space, or set TMPDIR to a folder with more room.",
        ) from cause


class _PackedJarError(Exception):
    """The jar is packed with Pack200, so nothing is known about it."""


def _packed(entry: ZipEntry) -> Finding:
    return warning(
        "jar-packed",
        f"{quoted(entry.name)} is packed with Pack200, so its classes were not checked",
        location=entry.name,
        hint="include the plain jar, unless the module is for Ignition 7: Java 14 and later can't "
        "unpack it.",
    )


def _unreadable(entry: ZipEntry, problem: UnreadableJarError) -> Finding:
    return error(
        "jar-unreadable",
        f"{quoted(entry.name)} can't be opened as a jar: {problem}",
        location=entry.name,
        hint="build it again; Java couldn't open it either.",
    )
