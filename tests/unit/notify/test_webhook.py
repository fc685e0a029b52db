from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.net.client import ServiceOptions
from ign_deploy.notify.webhook import Webhook, webhook
from tests.support.notices import QUICK, as_is, hostile, notice
from tests.support.serving import Reply, scripted_server, serving, unused_port
from tests.support.tls import make_tls
from tests.support.webhook_receiver import WebhookReceiver

SECRET = "a secret of the webhook"


def channel(url: str, **options: Any) -> Webhook:
    return webhook(url, service=ServiceOptions(options.pop("ca", None), retry=QUICK), **options)


def failure_of(hook: Webhook) -> NetworkError:
    with pytest.raises(NetworkError) as failure:
        hook.send(notice().cleaned(as_is))
    return failure.value


def test_a_signed_document_is_accepted_and_complete() -> None:
    with serving(WebhookReceiver(SECRET)) as receiver:
        channel(receiver.url, secret=SECRET).send(notice().cleaned(as_is))
    [document] = receiver.documents
    assert document.pop("delivery")
    nothing_more = {"modules": [], "change": "", "reason": ""}
    assert document == {
        "version": 1,
        "event": "deployment",
        "result": "deployed",
        "environment": "production",
        "started_at": "2026-01-31T12:00:00Z",
        "seconds": 83.25,
        "modules": [
            {
                "id": "com.example.pump",
                "version": "1.4.2",
                "previous_version": "1.4.1",
                "sha256": "ab" * 32,
            }
        ],
        "gateways": [
            {"name": "https://gw1:8043", "outcome": "deployed", **nothing_more},
            {"name": "https://gw2:8043", "outcome": "deployed", **nothing_more},
        ],
        "actor": "octocat",
        "run_url": "https://ci.example.com/runs/1",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "message": "",
        "deployment_id": "d-1",
        "audit_head": "",
    }


@pytest.mark.parametrize("secret", ["", "another"])
def test_without_the_right_secret_nothing_is_accepted(secret: str) -> None:
    with serving(WebhookReceiver(SECRET)) as receiver:
        failure = failure_of(channel(receiver.url, secret=secret))
    assert failure.message == "posting the notification failed: 127.0.0.1 returned 401"
    assert "secret" in failure.hint
    assert receiver.documents == []


def test_a_replayed_request_is_rejected_by_its_signed_time() -> None:
    with serving(WebhookReceiver(SECRET)) as receiver:
        old = channel(receiver.url, secret=SECRET, clock=lambda: 1_700_000_000.0)
        assert "401" in failure_of(old).message
    assert receiver.documents == []


def test_a_repeated_notice_of_a_deployment_is_one_delivery() -> None:
    with serving(WebhookReceiver(SECRET)) as receiver:
        for seconds in (1.0, 2.0):
            channel(receiver.url, secret=SECRET).send(notice(seconds=seconds))
        channel(receiver.url, secret=SECRET).send(notice(result="failed"))
    assert [each["result"] for each in receiver.documents] == ["deployed", "failed"]


def test_notices_without_a_deployment_are_separate_deliveries() -> None:
    with serving(WebhookReceiver(SECRET)) as receiver:
        for _ in range(2):
            channel(receiver.url, secret=SECRET).send(notice(deployment_id=""))
    assert len(receiver.documents) == 2


def test_a_temporary_failure_is_retried_with_the_same_delivery() -> None:
    failures = (Reply(503), Reply(reset=True))
    with serving(WebhookReceiver(SECRET, *failures)) as receiver:
        channel(receiver.url, secret=SECRET).send(notice())
    assert len(receiver.documents) == 1
    assert len({each.headers["Idempotency-Key"] for each in receiver.requests}) == 1
    assert len(receiver.requests) == 3


def test_hostile_texts_arrive_as_texts() -> None:
    with serving(WebhookReceiver(SECRET)) as receiver:
        channel(receiver.url, secret=SECRET).send(hostile().cleaned(as_is))
    assert receiver.documents[0]["actor"].startswith("<!channel>")


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", "slack"),
        ("https://acme.webhook.office.com/webhookb2/x", "teams"),
        ("https://prod-1.westeurope.logic.azure.com/workflows/x", "teams"),
        ("https://hooks.slack.com.evil.test/x", "generic"),
        ("https://evilwebhook.office.com/x", "generic"),
        ("https://example.com/hook", "generic"),
    ],
)
def test_the_format_is_that_of_the_host(url: str, form: str) -> None:
    assert webhook(url).format == form
    assert webhook(url, webhook_format="generic").format == "generic"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hidden",
        "HTTP://example.com/hidden",
        "ftp://example.com/hidden",
        "hidden",
        "https://me:hidden@example.com/",
        "https://example.com/hidden\n",
        "https://example.com/hid den",
        "https://[::1/hidden",
        "",
    ],
)
def test_an_invalid_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        webhook(url)
    assert "hidden" not in failure.value.message + failure.value.hint
    assert "webhook" in failure.value.message


def test_an_unknown_format_is_rejected() -> None:
    with pytest.raises(ConfigurationError, match="unknown webhook format"):
        webhook("https://example.com/", webhook_format="discord")


def test_failures_name_the_host_only() -> None:
    url = f"http://127.0.0.1:{unused_port()}/services/T000/B000/hidden?sig=hidden"
    hook = channel(url)
    failure = failure_of(hook)
    assert "127.0.0.1" in failure.message
    assert "hidden" not in failure.message + failure.hint + repr(hook) + hook.name
    assert url in hook.secrets
    assert "/services/T000/B000/hidden" in hook.secrets


@pytest.mark.parametrize(("status", "hint"), [(404, "create a new one"), (410, "was removed")])
def test_a_missing_webhook_says_what_to_do(status: int, hint: str) -> None:
    with scripted_server(Reply(status)) as server:
        assert hint in failure_of(channel(server.url)).hint


def test_a_redirect_is_not_followed() -> None:
    with scripted_server(Reply(200)) as other:
        moved = Reply(307, {"Location": other.url})
        with scripted_server(moved) as server:
            failure = failure_of(channel(server.url))
        assert other.requests == []
    assert "redirects to" in failure.message


def test_an_endless_response_is_not_read_to_its_end() -> None:
    with scripted_server(Reply(200, body=b"x" * (8 << 20))) as server:
        channel(server.url).send(notice())


def test_a_private_authority_is_used(tmp_path: Path) -> None:
    tls = make_tls(tmp_path)
    with serving(WebhookReceiver(SECRET)) as receiver:
        receiver.socket = wrapped(receiver, tls.context)
        url = receiver.url.replace("http:", "https:")
        assert "isn't trusted" in failure_of(channel(url, secret=SECRET)).message
        channel(url, secret=SECRET, ca=tls.ca).send(notice())
    assert len(receiver.documents) == 1


def wrapped(receiver: WebhookReceiver, context: ssl.SSLContext) -> ssl.SSLSocket:
    return context.wrap_socket(receiver.socket, server_side=True)


def sent_by(form: str, reported: Any) -> dict[str, Any]:
    with scripted_server(Reply(200, body=b"ok")) as server:
        channel(server.url, webhook_format=form).send(reported.cleaned(as_is))
    document: dict[str, Any] = json.loads(server.requests[0].body)
    return document


def texts(value: object) -> list[str]:
    """Return every text anywhere in a document."""
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts(item)]


def test_slack_gets_blocks() -> None:
    document = sent_by("slack", notice(message="All went well."))
    assert document["text"] == "Deployment to production: deployed"
    kinds = [block["type"] for block in document["blocks"]]
    assert kinds == ["section", "section", "section", "context"]
    assert "*Modules*\ncom.example.pump 1.4.2 (was 1.4.1)" in texts(document)
    assert "<https://ci.example.com/runs/1|The run>" in texts(document)


def test_hostile_text_makes_no_mention_or_link_in_slack() -> None:
    document = sent_by("slack", hostile())
    found = texts(document)
    assert any("&lt;!channel&gt;" in text for text in found)
    unescaped = [text for text in found if "<" in text]
    assert unescaped == ["<https://ci.example.com/a%7Cb|The run>"]
    for block in document["blocks"]:
        for item in [*block.get("fields", []), *([block["text"]] if "text" in block else [])]:
            assert item["verbatim"] is True


def test_slacks_limits_are_kept() -> None:
    document = sent_by("slack", notice(message="&" * 9000, environment="😀" * 300))
    for block in document["blocks"]:
        if "text" in block:
            assert len(block["text"]["text"].encode("utf-16-le")) <= 2 * 3000
            assert not block["text"]["text"].rstrip("*…").endswith(("&", "&a", "&am", "&amp"))
        assert len(block.get("fields", [])) <= 10
        assert all(len(field["text"]) <= 2000 for field in block.get("fields", []))


def test_teams_gets_one_adaptive_card() -> None:
    document = sent_by("teams", notice())
    assert document["type"] == "message"
    [attachment] = document["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert card["body"][0]["inlines"][0]["color"] == "good"
    assert card["actions"][0]["url"] == "https://ci.example.com/runs/1"


def test_untrusted_text_is_never_markdown_in_teams() -> None:
    card = sent_by("teams", hostile())["attachments"][0]["content"]
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    runs = [run for block in card["body"] for run in block["inlines"]]
    assert {run["type"] for run in runs} == {"TextRun"}
    assert [action["url"] for action in card["actions"]] == ["https://ci.example.com/a|b"]


def test_a_large_notice_stays_below_the_limit_of_teams() -> None:
    with scripted_server(Reply(202)) as server:
        reported = notice(
            message="x" * 9000,
            modules=notice().modules * 500,
            gateways=notice().gateways * 250,
        )
        channel(server.url, webhook_format="teams").send(reported.cleaned(as_is))
    assert len(server.requests[0].body) < 28_000
