"""What a new certificate would do, from what gateways, records and the history say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ign_deploy.errors import IdentityError, NotInRepository, RepositoryError
from ign_deploy.module.certificates import describe
from ign_deploy.pipeline.context import RunContext
from ign_deploy.pipeline.live import LiveGateway
from ign_deploy.pipeline.live_comparison import LiveModule
from ign_deploy.pipeline.trust_plan import (
    CertificateSource,
    CertifiedModule,
    Effect,
    new_certificate,
    plan_change,
)
from tests.support.identities import chain, pem_certificates, self_signed
from tests.support.runs import run_context

ID = "com.example.pump"
OLD, NEW = describe(self_signed()[1]), describe(self_signed("New Vendor")[1])


@dataclass
class Records:
    """A repository that has 1.0.0, signed by the old certificate, and can't read 6.6.6."""

    not_after: str | None = "2120-01-01T00:00:00Z"

    def fetch(self, module_id: str, *, version: str) -> Any:
        if version == "6.6.6":
            raise RepositoryError("the store is down")
        if (module_id, version) != (ID, "1.0.0"):
            raise NotInRepository("not published")
        signer = SimpleNamespace(sha1=OLD.sha1, subject="CN=Old", not_after=self.not_after)
        return SimpleNamespace(certificate=signer)


def planned(
    monkeypatch: pytest.MonkeyPatch,
    *modules: LiveModule,
    history: tuple[Any, ...] = (),
    **gateway: Any,
) -> tuple[CertifiedModule, ...]:
    """Return the plan for one gateway that says this of itself."""
    asked = LiveGateway("plant", "line-1", gateway.pop("location", "http://line-1"), **gateway)
    monkeypatch.setattr(
        "ign_deploy.pipeline.trust_plan.ask_gateways", lambda _: (replace(asked, modules=modules),)
    )
    known = SimpleNamespace(state=lambda _: SimpleNamespace(deployed=history))
    context = SimpleNamespace(repository=Records(), history=known)
    return plan_change(NEW, cast("RunContext", context))


def only(found: tuple[CertifiedModule, ...]) -> tuple[Effect, CertificateSource, str]:
    (module,) = found
    return module.effect, module.source, module.sha1


def test_the_record_of_the_reported_version_says_who_signed_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = planned(
        monkeypatch, LiveModule(ID, "1.0.0", certificate_expires="2120-01-01T00:00:00Z")
    )
    assert only(found) == (Effect.WOULD_STOP, CertificateSource.RECORD, OLD.sha1)
    assert found[0].signer == "CN=Old"


def test_the_gateway_s_own_file_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    module = LiveModule(ID, "1.0.0", accepted_certificate=NEW.sha1)
    found = planned(monkeypatch, module)
    assert only(found) == (Effect.ACCEPTED, CertificateSource.GATEWAY, NEW.sha1)
    assert found[0].remark == f"1.0.0 is signed with another one (SHA-1 {OLD.sha1})"


def test_a_gateway_that_shows_another_expiry_is_not_guessed_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = LiveModule(ID, "1.0.0", certificate_expires="2027-01-01T00:00:00Z")
    found = planned(monkeypatch, module)
    assert only(found) == (Effect.UNKNOWN, CertificateSource.NOWHERE, "")
    assert "another certificate than the record of 1.0.0 has" in found[0].remark


def test_another_vendor_s_module_is_not_ours_and_a_record_may_be_unreadable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = planned(monkeypatch, LiveModule("com.other", "2.0.0"), LiveModule(ID, "6.6.6"))
    assert [each.effect for each in found] == [Effect.NOT_OURS, Effect.UNKNOWN]
    assert found[1].remark == "its record can't be read: the store is down"


def test_what_is_not_installed_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert planned(monkeypatch, LiveModule(ID, "", recorded="1.0.0")) == ()


def test_a_gateway_that_lists_no_modules_has_those_of_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = planned(monkeypatch, LiveModule(ID, recorded="1.0.0"), lists_modules=False)
    assert only(found) == (Effect.WOULD_STOP, CertificateSource.HISTORY, OLD.sha1)


def test_an_unreachable_gateway_has_the_history_s_modules_or_a_row_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = SimpleNamespace(gateway="http://line-1", id=ID, version="1.0.0", uncertain=True)
    found = planned(monkeypatch, problem="no answer", history=(known,))
    assert only(found) == (Effect.WOULD_STOP, CertificateSource.HISTORY, OLD.sha1)
    assert found[0].remark == "uncertain in the history; not asked: no answer"
    recorded = SimpleNamespace(gateway="", id=ID, version="1.0.0", uncertain=False)
    found = planned(monkeypatch, problem="no token", history=(recorded,), location="")
    assert only(found) == (Effect.UNKNOWN, CertificateSource.NOWHERE, "")
    assert found[0].remark == "not asked: no token; the history has no module there"


def test_the_new_certificate_is_the_leaf_of_its_file(tmp_path: Path) -> None:
    _, (leaf, middle, root) = chain()
    path = tmp_path / "chain.pem"
    path.write_bytes(pem_certificates(root, middle, leaf))
    assert new_certificate(run_context({}, cert_path=str(path))) == describe(leaf)
    path.write_bytes(pem_certificates(self_signed()[1], self_signed("New Vendor")[1]))
    with pytest.raises(IdentityError, match="2 certificates that issued none of the others"):
        new_certificate(run_context({}, cert_path=str(path)))
