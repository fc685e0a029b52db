"""Whatever breaks between us and a store: nothing is lost, half-written or handed over wrong."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from ign_deploy.errors import IgnDeployError, NetworkError, RepositoryError, VerificationError
from ign_deploy.net.retry import RetryPolicy
from ign_deploy.pipeline.checks import require_writable
from ign_deploy.report import Progress, Reporter, SilentReporter
from ign_deploy.repositories import Publication, PublishOutcome
from ign_deploy.repositories.download import download
from tests.contract.kinds import Kind
from tests.contract.opened import EAGER, Opened
from tests.contract.publishing import content_of, run_publishers
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.faults import (
    AnswerInstead,
    CutAnswer,
    CutRequest,
    Fault,
    FlipByte,
    LoseAnswer,
    Truncate,
)
from tests.support.http_steps import count_requests
from tests.support.releases import release_of, verified_module
from tests.support.runs import run_context
from tests.support.serving import Reply, scripted_server

ID = "com.acme.thing"
LARGE = bytes(range(256)) * 1200  # longer than any other answer


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RetryPolicy, "wait_before", lambda *_: 0.001)


@pytest.fixture
def proxy(http_store: Opened) -> Iterator[FaultProxy]:
    """A proxy in front of the store that breaks nothing yet."""
    with fault_proxy(http_store.server) as running:
        yield running


@pytest.fixture
def proxied(http_store: Opened, proxy: FaultProxy) -> Opened:
    return http_store.through(proxy.url)


def publish(
    store: Opened, folder: Path, *, version: str = "1.0.0", content: bytes = b"module"
) -> Publication:
    release, files = release_of(folder, version=version, content=content)
    return store.open(wait_policy=EAGER).publish(release, files=files)


def requests_of_a_publication(store: Opened, folder: Path) -> int:
    publish(store, folder, version="0.8.0")  # the first into an empty store may cost more
    with count_requests() as steps:
        publish(store, folder, version="0.9.0")
    return steps.count


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(AnswerInstead(503), id="503"),
        pytest.param(AnswerInstead(429, {"Retry-After": "0"}), id="429"),
        pytest.param(CutRequest(3), id="cut while sending"),
        pytest.param(CutAnswer(0), id="reset while reading"),
        pytest.param(LoseAnswer(), id="acknowledgement lost"),
    ],
)
def test_a_fault_at_any_request_is_survived(
    http_store: Opened, proxied: Opened, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    last = requests_of_a_publication(http_store, tmp_path)
    for number in range(1, last + 1):
        version, content = f"1.0.{number}", f"content {number}".encode()
        proxy.rules.clear()
        proxy.rules.add(fault, nth=number, times=1)
        publish(proxied, tmp_path, version=version, content=content)
        assert content_of(http_store.open(), ID, version) == content
    found = http_store.open().maintenance.reindex()
    assert (found.modules, found.versions) == (1, last + 2)


@pytest.mark.parametrize("after", [0, timedelta(seconds=1)], ids=["in seconds", "as a date"])
def test_a_store_that_asks_to_wait_is_asked_again(
    proxied: Opened, proxy: FaultProxy, tmp_path: Path, after: int | timedelta
) -> None:
    when = (
        format_datetime(datetime.now(UTC) + after, usegmt=True)
        if isinstance(after, timedelta)
        else str(after)
    )
    proxy.rules.add(AnswerInstead(429, {"Retry-After": when}), nth=2, times=1)
    assert publish(proxied, tmp_path).outcome is PublishOutcome.PUBLISHED


def test_a_slow_store_is_waited_for(proxied: Opened, proxy: FaultProxy, tmp_path: Path) -> None:
    proxy.rules.to_client.delay = 0.05
    assert publish(proxied, tmp_path).outcome is PublishOutcome.PUBLISHED


@pytest.mark.parametrize("status", [507, 500], ids=["full disk", "broken"])
def test_a_store_that_takes_nothing_publishes_nothing(
    http_store: Opened, proxied: Opened, proxy: FaultProxy, tmp_path: Path, status: int
) -> None:
    for method in ("PUT", "POST", "MKCOL", "PATCH"):
        proxy.rules.add(AnswerInstead(status), method=method, times=None)
    with pytest.raises((RepositoryError, NetworkError)) as caught:
        publish(proxied, tmp_path)
    assert caught.value.hint
    assert http_store.open().catalogue() == ()
    proxy.rules.clear()
    assert publish(proxied, tmp_path).outcome is PublishOutcome.PUBLISHED


@pytest.mark.parametrize(
    "fault", [FlipByte(200_000), Truncate(200_000)], ids=["corrupted", "truncated"]
)
def test_a_download_that_is_damaged_on_the_way_is_never_taken_for_the_module(
    http_store: Opened, proxied: Opened, proxy: FaultProxy, tmp_path: Path, fault: Fault
) -> None:
    publish(http_store, tmp_path, content=LARGE)
    proxy.rules.add(fault, method="GET", times=None)
    with pytest.raises((VerificationError, NetworkError)):
        content_of(proxied.open(), ID, "1.0.0")
    proxy.rules.clear()
    assert content_of(proxied.open(), ID, "1.0.0") == LARGE


class Interrupting(SilentReporter):
    """Interrupts a transfer after so many bytes."""

    def __init__(self, after: int) -> None:
        self.left = after

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Progress]:
        def count(advance: int) -> None:
            self.left -= advance
            if self.left <= 0:
                raise KeyboardInterrupt

        yield count


def test_a_download_that_broke_off_is_continued_by_the_next_run(
    http_store: Opened, proxied: Opened, proxy: FaultProxy, tmp_path: Path
) -> None:
    content = LARGE * 20
    publish(http_store, tmp_path, content=content)

    def fetch(reporter: Reporter) -> bytes:
        got = download(
            proxied.open(), ID, output_dir=tmp_path / "out", version="1.0.0", reporter=reporter,
            verify=lambda path: verified_module(path, licence_crc=None),
        )  # fmt: skip
        return got.path.read_bytes()

    with pytest.raises(KeyboardInterrupt):
        fetch(Interrupting(1_500_000))
    proxy.rules.clear()
    assert fetch(SilentReporter()) == content
    asked = [dict(each.headers) for each in proxy.rules.requests]
    ranges = {each["Range"] for each in asked if "Range" in each}
    assert len(ranges) == 1
    assert int(ranges.pop().removeprefix("bytes=").removesuffix("-")) >= 1_500_000
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{ID}-1.0.0.modl"]


def test_a_download_that_breaks_off_goes_on(
    http_store: Opened, proxied: Opened, proxy: FaultProxy, tmp_path: Path
) -> None:
    publish(http_store, tmp_path, content=LARGE)
    rule = proxy.rules.add(CutAnswer(200_000), method="GET", times=1)
    assert content_of(proxied.open(), ID, "1.0.0") == LARGE
    assert rule.hits == 1


def test_a_redirect_to_another_host_gets_no_credentials(
    proxied: Opened, proxy: FaultProxy, tmp_path: Path
) -> None:
    secrets = [each for each in (proxied.token, proxied.password) if each]
    with scripted_server(Reply(404)) as elsewhere:
        for status in (302, 307, 308):
            proxy.rules.clear()
            there = {"Location": f"{elsewhere.url}/there"}
            proxy.rules.add(AnswerInstead(status, there), times=None)
            with pytest.raises(IgnDeployError):
                publish(proxied, tmp_path)
            with suppress(IgnDeployError):
                proxied.open().fetch(ID, version="1.0.0", to=io.BytesIO())
        seen = [f"{request.target} {request.headers}" for request in elsewhere.requests]
    assert not [text for text in seen for secret in secrets if secret in text]
    assert not [text for text in seen if "Authorization" in text or "TOKEN" in text.upper()]


def test_wrong_credentials_are_found_before_anything_is_sent(
    http_kind: Kind, proxied: Opened, proxy: FaultProxy
) -> None:
    if not http_kind.checks_credentials:
        return  # moto takes any credentials
    wrong = replace(
        proxied,
        token="wr0ng" if proxied.token else "",
        password="wr0ng" if proxied.password else "",
    )
    with pytest.raises(RepositoryError) as caught:
        require_writable(wrong.open(), run_context())
    assert caught.value.exit_code == 6
    assert caught.value.hint
    assert "wr0ng" not in caught.value.message + caught.value.hint
    sent = [each for each in proxy.rules.requests if each.method in ("PUT", "PATCH", "MKCOL")]
    assert len(sent) <= 1


@pytest.mark.long
def test_killed_at_any_request_it_shows_all_or_nothing_and_converges(
    http_store: Opened, tmp_path: Path
) -> None:
    """A process is killed right before, or right after, each of its requests; then run again."""
    # The first publication of all makes folders, and indexes from nothing.
    publish(http_store, tmp_path, version="0.8.0")
    last = requests_of_a_publication(http_store, tmp_path)
    points = [sign * number for number in range(1, last + 1) for sign in (1, -1)]
    orders = [
        {
            "store": http_store.order(),
            "jobs": [[[ID, f"1.0.{location}", f"content {location}"]]],
            "kill_at_request": point,
            "alone": True,
        }
        for location, point in enumerate(points)
    ]
    answers = run_publishers(*orders)
    assert answers.count([["killed"]]) >= len(points) - 2
    seen_unpublished = 0
    for location in range(len(points)):
        version, content = f"1.0.{location}", f"content {location}".encode()
        with suppress(IgnDeployError):
            assert content_of(http_store.open(), ID, version) == content
            seen_unpublished -= 1
        seen_unpublished += 1
        publish(http_store, tmp_path, version=version, content=content)
        assert content_of(http_store.open(), ID, version) == content
    assert 0 < seen_unpublished < len(points)
    assert http_store.open().maintenance.reindex().versions == len(points) + 2
