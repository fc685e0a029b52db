from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.notify.notice import (
    NoticedGateway,
    NoticedModule,
    clean_message,
    clean_text,
    facts,
    is_good,
    title,
)
from tests.support.notices import HOSTILE, as_is, notice


def test_credentials_in_the_url_of_a_gateway_are_removed() -> None:
    reported = notice(gateways=(NoticedGateway("https://me:s3cret@gw1:8043/", "deployed"),))
    assert reported.cleaned(as_is).gateways[0].name == "https://gw1:8043/"


def test_secrets_are_redacted_in_every_text() -> None:
    reported = notice(
        message="s3cret",
        actor="s3cret",
        run_url="https://ci/?t=s3cret",
        modules=(NoticedModule("s3cret", "s3cret", "s3cret", "s3cret"),),
        gateways=(NoticedGateway("s3cret", "s3cret", ("s3cret",)),),
    )
    reported = replace(
        reported,
        result="s3cret",
        environment="s3cret",
        commit="s3cret",
        deployment_id="s3cret",
        audit_head="s3cret",
    )
    assert "s3cret" not in repr(reported.cleaned(lambda text: text.replace("s3cret", "***")))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "https://u:p@ci/", "https://ci/ x", 'https://ci/"><b>', "ci", ""]
)
def test_anything_but_a_plain_web_address_is_no_link(url: str) -> None:
    assert notice(run_url=url).cleaned(as_is).run_url == ""


def test_a_web_address_stays_a_link() -> None:
    url = "https://github.com/org/pump/actions/runs/1?attempt=2#a|b"
    assert notice(run_url=url).cleaned(as_is).run_url == url


@given(st.text())
def test_any_text_becomes_one_line_that_can_be_sent(text: str) -> None:
    clean = clean_text(text, redact=as_is)
    assert len(clean) <= 300
    assert len(clean.splitlines()) <= 1
    clean.encode()


@given(st.text())
def test_any_message_can_be_sent(text: str) -> None:
    clean = clean_message(text, redact=as_is)
    assert len(clean) <= 2000
    assert "\r" not in clean
    clean.encode()


def test_the_title_says_what_happened_where() -> None:
    assert title(notice()) == "Deployment to production: deployed"
    assert title(notice(event="rollback", result="rolled-back")) == (
        "Rollback in production: rolled back"
    )
    assert title(notice(event="release", environment="", result="uploaded")) == "Release: uploaded"


@pytest.mark.parametrize(
    ("event", "result", "good"),
    [
        ("deployment", "deployed", True),
        ("deployment", "rolled-back", False),
        ("deployment", "restart-pending", False),
        ("rollback", "rolled-back", True),
        ("rollback", "rollback-failed", False),
        ("release", "uploaded", True),
        ("deployment", "something-new", False),
    ],
)
def test_a_requested_rollback_is_a_success(event: str, result: str, good: bool) -> None:
    assert is_good(notice(event=event, result=result)) is good


def test_long_lists_end_with_how_many_more_there_are() -> None:
    modules = tuple(NoticedModule(f"m{number}", "1.0.0") for number in range(25))
    shown = dict(facts(notice(modules=modules)))["Modules"].splitlines()
    assert len(shown) == 21
    assert shown[-1] == "and 5 more"


def test_unknown_facts_are_left_out() -> None:
    bare = notice(modules=(), gateways=(), actor="", commit="", seconds=0.0, deployment_id="")
    assert [label for label, _ in facts(bare)] == ["Started"]


def test_a_hostile_text_stays_harmless() -> None:
    assert clean_text(HOSTILE, redact=as_is).isprintable()
