from __future__ import annotations

import threading
import time

from ign_deploy.errors import NetworkError
from ign_deploy.notify import notify_all
from ign_deploy.notify.notice import Notice
from ign_deploy.notify.webhook import webhook
from tests.support.notices import QUICK_SERVICE, as_is, notice
from tests.support.reporting import Recorder
from tests.support.serving import serving, unused_port
from tests.support.webhook_receiver import WebhookReceiver


class Stub:
    """A channel that does what the test says, or fails."""

    def __init__(self, problem: Exception | None = None, *, wait: threading.Event | None = None):
        self.problem, self.wait = problem, wait
        self.reported: list[Notice] = []
        self.secrets = ("hidden",)

    @property
    def name(self) -> str:
        return "the stub"

    def send(self, reported: Notice) -> None:
        if self.wait is not None:
            self.wait.wait(30)
        if self.problem is not None:
            raise self.problem
        self.reported.append(reported)


def test_a_channel_that_fails_is_one_warning_and_the_others_get_the_notice() -> None:
    listener = Recorder()
    with serving(WebhookReceiver("")) as receiver:
        bad = webhook(f"http://127.0.0.1:{unused_port()}/hidden", service=QUICK_SERVICE)
        good = Stub()
        sent = notify_all([bad, good], notice(), reporter=listener, redact=as_is)
        assert receiver.requests == []
    assert sent == 1
    assert good.reported == [notice()]
    [warning] = listener.warnings
    assert warning.startswith("could not notify the webhook at 127.0.0.1: 127.0.0.1 refused")
    assert "check the port" in warning
    assert "hidden" not in warning


def test_a_bug_in_a_channel_fails_nothing() -> None:
    listener = Recorder()
    assert notify_all([Stub(KeyError("x"))], notice(), reporter=listener, redact=as_is) == 0
    assert "KeyError, a bug in ign-deploy" in listener.warnings[0]


def test_a_channel_that_hangs_is_abandoned() -> None:
    listener, release = Recorder(), threading.Event()
    begin = time.monotonic()
    channels = [Stub(wait=release), Stub(wait=release), Stub()]
    sent = notify_all(channels, notice(), reporter=listener, redact=as_is, deadline=0.2)
    took = time.monotonic() - begin
    release.set()
    assert sent == 1
    assert took < 5
    assert ["timed out after 0.2 s" in each for each in listener.warnings] == [True, True]


def test_secrets_are_masked_and_redacted_in_warnings_and_notices() -> None:
    listener, reported = Recorder(), Stub()
    failing = Stub(NetworkError("it answered s3cret", hint="fix it."))

    def redact(text: str) -> str:
        return text.replace("s3cret", "***")

    notify_all([reported, failing], notice(message="s3cret"), reporter=listener, redact=redact)
    assert listener.masked == ["hidden", "hidden"]
    assert listener.warnings == ["could not notify the stub: it answered ***; fix it."]
    assert reported.reported[0].message == "***"


def test_no_channels_is_not_a_failure() -> None:
    assert notify_all([], notice(), reporter=Recorder(), redact=as_is) == 0
