"""Statements of a succession in the run's repository: published, and followed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ign_deploy.errors import VerificationError
from ign_deploy.pipeline.context import RunContext

if TYPE_CHECKING:
    from ign_deploy.signing.succession import Statement, Succession

FOLDER = "ledger/successions"
_MOST_READ = 20
"""Statements for one new certificate; anyone who can write there could add thousands."""


@dataclass(frozen=True, slots=True)
class PublishedStatement:
    """A statement, and where it is in the repository."""

    statement: Statement
    path: str
    data: bytes


def publish_statement(modules: Sequence[str], context: RunContext) -> PublishedStatement:
    """Make a statement that the run's certificate succeeds the old one, and publish it.

    In a dry run, it is made, but not published.
    """
    from ign_deploy.pipeline.identity import load_old_identity
    from ign_deploy.signing.succession import make_statement, parse_statement

    new = context.identity
    old = load_old_identity(context.settings, env=context.env, reporter=context.reporter)
    try:
        data = make_statement(modules, old=old, new=new, now=context.now, reporter=context.reporter)
    finally:
        old.close()
    statement = parse_statement(data)
    name = hashlib.sha256(data).hexdigest()[:16]
    path = f"{FOLDER}/{statement.new_sha256}/{name}.json"
    if not context.settings.dry_run:
        context.repository.check()
        context.repository.maintenance.documents.add(path, data)
    return PublishedStatement(statement, path, data)


def follow_succession(signer_sha256: str, module_id: str, context: RunContext) -> Succession | None:
    """Return how a trust anchor leads to the signer of a module, by published statements.

    Statements that aren't valid are warned of.
    """
    from ign_deploy.signing.succession import follow_statements

    return follow_statements(
        signer_sha256,
        module_id,
        statements_for=lambda sha256: _statements(sha256, context),
        policy=context.workspace.trust,
        now=context.now,
    )


def _statements(new_sha256: str, context: RunContext) -> Iterator[Statement]:
    from ign_deploy.signing.succession import parse_statement

    documents = context.repository.maintenance.documents
    folder = f"{FOLDER}/{new_sha256}"
    names = sorted(each for each in documents.names(folder) if each.endswith(".json"))
    if len(names) > _MOST_READ:
        context.reporter.warning(
            f"{len(names)} statements name one new certificate; only {_MOST_READ} are read"
        )
    for name in names[:_MOST_READ]:
        document = documents.read(f"{folder}/{name}")
        if document is None:
            continue
        try:
            yield parse_statement(document.data)
        except VerificationError as problem:
            context.reporter.warning(f"statement {name[:40]!a} is skipped: {problem.message}")
