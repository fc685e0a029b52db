"""The lease that a run has on the gateways that it deploys to: taken, renewed, given back."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ign_deploy.errors import DeploymentError, IgnDeployError
from ign_deploy.pipeline.environment import gateway_name
from ign_deploy.report import shown_age
from ign_deploy.repositories.leases import Holder, LeaseHeld, LeaseStore
from ign_deploy.repositories.renewal import DURATION, INTERVAL, Renewal, Taken

if TYPE_CHECKING:
    from ign_deploy.pipeline.context import RunContext

_POLL = 5.0


@dataclass
class GatewayLease:
    """A run's lease on its gateways (addresses); ``number`` is higher than that of any before."""

    store: LeaseStore
    names: Sequence[str]
    holder: Holder
    number: int = 0
    is_free: bool = True
    renewal: Renewal = field(init=False)

    def __post_init__(self) -> None:
        self.renewal = Renewal(self._renew)

    def take(self) -> None:
        """Take it; raises LeaseHeld, or our errors."""
        begin = self.renewal.clock()
        self.is_free = False  # an interruption may come after the store has it
        try:
            self.number = self.store.take(self.names, self.holder)
            if self.renewal.clock() - begin > INTERVAL:
                begin = self.renewal.clock()
                self.store.renew(self.names, self.holder, self.number)
        except (LeaseHeld, IgnDeployError):
            self.is_free = True
            raise
        self.renewal.extend(begin)

    def require(self) -> None:
        """Raise DeploymentError unless this run still has the gateways; makes no request."""
        if reason := self.renewal.problem:
            raise DeploymentError(
                f"this run lost its lease on the gateways ({reason}), so another run may be "
                "deploying to them: it stopped before the next change",
                hint="find out with `ign-deploy history` which run deployed there since.",
            )

    def _renew(self) -> None:
        try:
            self.store.renew(self.names, self.holder, self.number)
        except LeaseHeld as taken:
            raise Taken(f"{_who(taken.lease.holder)} has it now") from taken


@contextmanager
def lease_gateways(
    names: Sequence[str], environment: str, context: RunContext
) -> Iterator[GatewayLease]:
    """Have these gateways (addresses) for this run alone, from before they are looked at.

    Raises DeploymentError, which says who has them, if waiting as long as --wait-for-lock says
    doesn't help. Whatever ends what is done within gives them back.
    """
    provenance = context.published.provenance
    holder = Holder(
        token=secrets.token_hex(16),
        environment=environment,
        actor=provenance.actor[:400],
        host="" if provenance.run_url else context.redact(socket.gethostname())[:400],
        run_url=provenance.run_url[:2000],
    )
    lease = GatewayLease(context.repository.maintenance.leases, sorted(set(names)), holder)
    try:
        _take(lease, context)
        with lease.renewal.kept():
            yield lease
    finally:
        if not lease.is_free:
            _give_back(lease, context)


def _take(lease: GatewayLease, context: RunContext) -> None:
    """Take it, or wait for it as long as --wait-for-lock says."""
    limit = context.settings.wait_for_lock
    wait_policy = lease.store.wait_policy
    start = wait_policy.clock()
    is_reported = False
    with ExitStack() as waiting:
        while True:
            try:
                lease.take()
            except LeaseHeld as other:
                left = limit - (wait_policy.clock() - start)
                if left <= 0:
                    raise _locked(other, context) from None
                if not is_reported:
                    context.reporter.info(
                        f"{_explained(other, context)}; waiting up to {limit} s for it"
                    )
                    where = gateway_name(other.lease.name, context.settings)
                    shown = context.reporter.waiting(f"waiting for {where}", limit=limit)
                    waiting.enter_context(shown)
                    is_reported = True
                wait_policy.sleep(min(_POLL, left))
            else:
                return


def _give_back(lease: GatewayLease, context: RunContext) -> None:
    try:
        lease.store.release(lease.holder)
    except IgnDeployError as problem:
        context.reporter.warning(
            f"the lease on the gateways ends in {DURATION:.0f} s at the latest; it could not be "
            f"given back: {problem.message}"
        )


def _who(holder: Holder) -> str:
    by = holder.run_url or holder.host
    return f"{holder.actor or 'someone'}{f' ({by})' if by else ''}"


def _explained(other: LeaseHeld, context: RunContext) -> str:
    lease = other.lease
    where = gateway_name(lease.name, context.settings)
    return (
        f"{_who(lease.holder)} started to deploy {lease.holder.environment} to {where} "
        f"{shown_age(lease.since.isoformat(), context.now)} and has not ended "
        f"(lease {lease.number})"
    )


def _locked(other: LeaseHeld, context: RunContext) -> DeploymentError:
    waited = context.settings.wait_for_lock
    after = f" after waiting {waited} s" if waited else ""
    return DeploymentError(
        f"{_explained(other, context)}{after}; nothing was changed",
        hint="wait until that run has ended, then run the same command again, or add "
        f"--wait-for-lock SECONDS; if it was killed, its lease ends in {other.remaining:.0f} s.",
    )
