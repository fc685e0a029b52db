from __future__ import annotations

import re
import threading
from pathlib import Path

import pytest
import requests

from ign_deploy.errors import NetworkError
from ign_deploy.net.client import Client
from ign_deploy.net.errors import RateLimited, TransientFailure, TransientResponse
from ign_deploy.net.response import ANY_STATUS, Response
from ign_deploy.net.retry import Deadline, RetryPolicy, best_effort, retrying
from ign_deploy.net.session import open_http_session
from tests.support.reporting import Recorder
from tests.support.serving import Reply, ScriptedServer, scripted_server
from tests.support.transfers import FakeTime


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def get(
    server: ScriptedServer, time: FakeTime, recorder: Recorder, policy: RetryPolicy | None = None
) -> Response:
    with Client(
        open_http_session(), base=server.url, timeout=(5, 0.3), reporter=recorder, redirects=False,
        retry=policy or time.policy(),
    ) as client:  # fmt: skip
        return client.request("GET", "/x", title="reading x", expect=ANY_STATUS)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
def test_a_transient_status_is_retried_and_reported(
    status: int, time: FakeTime, recorder: Recorder
) -> None:
    with scripted_server(Reply(status), Reply(status), Reply(200, body=b"ok")) as server:
        assert get(server, time, recorder).body == b"ok"
    assert time.slept == [0.5, 1.0]
    assert recorder.warnings == [
        f"reading x: 127.0.0.1 returned {status}; retrying in 0.5 s (attempt 2 of 5)",
        f"reading x: 127.0.0.1 returned {status}; retrying in 1.0 s (attempt 3 of 5)",
    ]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 501, 507])
def test_any_other_status_is_returned_at_once(
    status: int, time: FakeTime, recorder: Recorder
) -> None:
    with scripted_server(Reply(status), Reply(200)) as server:
        assert get(server, time, recorder).status == status
        assert len(server.requests) == 1
    assert recorder.warnings == []


@pytest.mark.parametrize(
    "answer",
    [
        Reply(403, headers={"Retry-After": "1"}),
        Reply(403, body=b'{"message": "You have exceeded a secondary rate limit"}'),
        Reply(403, headers={"X-RateLimit-Remaining": "0"}),
    ],
)
def test_a_403_that_limits_the_rate_is_retried(
    answer: Reply, time: FakeTime, recorder: Recorder
) -> None:
    with scripted_server(answer, Reply(200)) as server:
        assert get(server, time, recorder).status == 200


def test_retry_after_in_seconds_is_kept_and_capped(time: FakeTime, recorder: Recorder) -> None:
    with scripted_server(
        Reply(429, headers={"Retry-After": "7"}),
        Reply(503, headers={"Retry-After": "21600"}),
        Reply(200),
    ) as server:
        get(server, time, recorder)
    assert time.slept == [7.0, 60.0]


@pytest.mark.parametrize(
    "answer",
    [Reply(429), Reply(403, body=b'{"message": "You have exceeded a secondary rate limit"}')],
)
def test_a_limit_without_an_end_is_waited_for_by_the_minute(
    answer: Reply, time: FakeTime, recorder: Recorder
) -> None:
    with scripted_server(answer, answer, Reply(200)) as server:
        assert get(server, time, recorder).status == 200
    assert time.slept == [60.0, 120.0]
    status = answer.status
    assert recorder.warnings[0] == (
        f"reading x: 127.0.0.1 limits how many requests it accepts (status {status}); "
        "retrying in 60.0 s (attempt 2 of 5)"
    )


def test_a_limit_s_own_time_is_kept_however_long(time: FakeTime, recorder: Recorder) -> None:
    with scripted_server(Reply(429, headers={"Retry-After": "200"}), Reply(200)) as server:
        get(server, time, recorder)
    assert time.slept == [200.0]


@pytest.mark.parametrize("prefix", ["X-RateLimit", "RateLimit"])
@pytest.mark.parametrize("skew", [0, -5000, 5000])
def test_the_reset_is_waited_for_by_the_server_s_clock(
    prefix: str, skew: int, time: FakeTime, recorder: Recorder
) -> None:
    now = 1_800_000_000 + skew
    headers = {f"{prefix}-Remaining": "0", f"{prefix}-Reset": str(now + 90)}
    with scripted_server(Reply(403, headers=headers), Reply(200)) as server:
        server.date = now
        get(server, time, recorder)
    assert time.slept == [91.0]


@pytest.mark.parametrize("reset", ["", "soon", "9" * 30, "-1"])
def test_a_reset_that_makes_no_sense_counts_as_absent(
    reset: str, time: FakeTime, recorder: Recorder
) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    with scripted_server(Reply(403, headers=headers), Reply(200)) as server:
        get(server, time, recorder)
    assert time.slept == [60.0]


def test_a_limit_beyond_the_deadline_ends_at_once_and_says_when_it_resets(
    time: FakeTime, recorder: Recorder
) -> None:
    now = 1_800_000_000  # 08:00:00 UTC
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(now + 2399)}
    with scripted_server(Reply(403, headers=headers)) as server:
        server.date = now
        with pytest.raises(RateLimited) as failure:
            get(server, time, recorder)
        assert len(server.requests) == 1
    assert time.slept == []
    assert re.fullmatch(
        r"127\.0\.0\.1 limits how many requests it accepts \(status 403\); the limit resets at "
        r"\d\d:\d\d:\d\d UTC, in 40 min",
        failure.value.message,
    )
    assert failure.value.hint.startswith("run again after that time")


def test_what_a_limit_refused_is_not_asked_about(time: FakeTime, recorder: Recorder) -> None:
    """To ask whether it was done nevertheless would be one more request."""
    with (
        scripted_server(Reply(429), Reply(200)) as server,
        Client(open_http_session(), reporter=recorder, retry=time.policy()) as client,
    ):
        client.request("POST", server.url, title="writing", confirm=lambda: pytest.fail("asked"))
        assert len(server.requests) == 2


def test_retry_after_as_a_date_is_kept(time: FakeTime, recorder: Recorder) -> None:
    with scripted_server(
        Reply(503, headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}),
        Reply(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Reply(200),
    ) as server:
        get(server, time, recorder)
    assert time.slept == [60.0, 0.0]


def test_a_reset_connection_is_retried(time: FakeTime, recorder: Recorder) -> None:
    with scripted_server(Reply(reset=True), Reply(200)) as server:
        assert get(server, time, recorder).status == 200
    assert "the connection to 127.0.0.1 broke" in recorder.warnings[0]


def test_a_server_that_is_silent_is_retried(time: FakeTime, recorder: Recorder) -> None:
    with scripted_server(Reply(delay=1.0), Reply(200)) as server:
        assert get(server, time, recorder).status == 200
    assert "127.0.0.1 didn't respond in time" in recorder.warnings[0]


def test_each_attempt_sends_the_whole_body(
    time: FakeTime, recorder: Recorder, tmp_path: Path
) -> None:
    path = tmp_path / "body"
    path.write_bytes(b"content" * 1000)

    def put() -> requests.Response:
        with path.open("rb") as body:
            return session.request("PUT", f"{server.url}/x", data=body)

    with scripted_server(Reply(503), Reply(201)) as server, open_http_session() as session:
        retrying(put, title="uploading", reporter=recorder, policy=time.policy())
        assert [request.body for request in server.requests] == [b"content" * 1000] * 2


def test_after_five_attempts_the_last_failure_is_raised(time: FakeTime, recorder: Recorder) -> None:
    with scripted_server(Reply(503)) as server:
        with pytest.raises(TransientResponse, match="returned 503") as failure:
            get(server, time, recorder)
        assert len(server.requests) == 5
    assert failure.value.exit_code == 9
    assert time.slept == [0.5, 1.0, 2.0, 4.0]


def test_no_attempt_starts_beyond_the_deadline(time: FakeTime, recorder: Recorder) -> None:
    with (
        scripted_server(Reply(503, headers={"Retry-After": "40"})) as server,
        pytest.raises(TransientResponse),
    ):
        get(server, time, recorder, time.policy(deadline=100.0))
    assert time.slept == [40.0, 40.0]


def test_waits_are_spread_and_bounded() -> None:
    least, most = RetryPolicy(random=lambda: 0.0), RetryPolicy(random=lambda: 1.0)
    assert [least.wait_before(attempt) for attempt in (2, 3, 30)] == [0.25, 0.5, 15.0]
    assert [most.wait_before(attempt) for attempt in (2, 3, 30)] == [0.5, 1.0, 30.0]


def test_best_effort_does_all_at_once_and_raises_nothing() -> None:
    release = threading.Event()

    def fail() -> None:
        raise NetworkError("the host is down", hint="start it.")

    def hang() -> None:
        release.wait(30)

    def break_down() -> None:
        raise KeyError("x")

    problems = best_effort([lambda: None, fail, hang, break_down], deadline=0.2)
    release.set()
    assert problems[:2] == ["", "the host is down; start it."]
    assert problems[2].startswith("timed out after 0.2 s")
    assert problems[3].startswith("KeyError, a bug in ign-deploy")


def test_a_deadline_ends_a_transfer(time: FakeTime) -> None:
    deadline = Deadline(time.policy(deadline=10), url="https://store.example/x")
    deadline.check()
    time.now = 10
    with pytest.raises(NetworkError, match=r"with store\.example took longer than 10 s"):
        deadline.check()


def test_a_policy_is_extended_by_ten_seconds_for_each_megabyte() -> None:
    assert RetryPolicy(deadline=10.0).extended_for(2_000_000).deadline == 30.0
    assert RetryPolicy.for_size(2_000_000).deadline == 320.0


def test_only_attempts_without_progress_count(time: FakeTime, recorder: Recorder) -> None:
    reached = 0

    def act() -> None:
        nonlocal reached
        if len(recorder.warnings) < 6:
            reached += 1 << 20
        raise TransientResponse("it broke")

    with pytest.raises(TransientResponse):
        retrying(
            act, title="copying", reporter=recorder, policy=time.policy(attempts=3),
            reached=lambda: reached,
        )  # fmt: skip
    # Six got further, and two did not.
    assert len(recorder.warnings) == 7
    assert time.slept == [0.5] * 6 + [1.0]


def test_a_server_that_drips_is_given_up(time: FakeTime, recorder: Recorder) -> None:
    reached = 0

    def act() -> None:
        nonlocal reached
        reached += 1000
        raise TransientResponse("it broke")

    with pytest.raises(TransientResponse):
        retrying(
            act, title="copying", reporter=recorder, policy=time.policy(), reached=lambda: reached
        )
    assert len(recorder.warnings) == 4


def test_a_silent_server_is_given_up_at_once_where_the_policy_says_so(time: FakeTime) -> None:
    policy = RetryPolicy(retries_timeouts=False, sleep=time.slept.append)
    for failure, expected in (
        (TransientFailure("silent", timed_out=True), 1),
        (TransientFailure("reset"), policy.attempts),
    ):
        tries: list[int] = []

        def action(failure: TransientFailure = failure, tries: list[int] = tries) -> None:
            tries.append(1)
            raise failure

        with pytest.raises(TransientFailure):
            retrying(action, title="x", reporter=Recorder(), policy=policy)
        assert len(tries) == expected
