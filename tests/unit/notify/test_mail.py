from __future__ import annotations

from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import ConfigurationError, NetworkError
from ign_deploy.notify.mail import Mail, mail, parse_recipients
from tests.support.mail_server import PASSWORD, USER, mail_server
from tests.support.notices import as_is, hostile, notice
from tests.support.serving import Reply, scripted_server, unused_port
from tests.support.tls import Tls, make_tls

TO = "ops@example.com, lead@example.com"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return make_tls(tmp_path_factory.mktemp("tls"))


def failure_of(channel: Mail) -> NetworkError:
    with pytest.raises(NetworkError) as failure:
        channel.send(notice())
    return failure.value


def with_user(port: int, tls: Tls, *, scheme: str = "smtp", password: str = PASSWORD) -> Mail:
    return mail(
        f"{scheme}://localhost:{port}",
        recipients=TO,
        sender="robot@example.com",
        username=USER,
        password=password,
        ca=tls.ca,
    )


def part(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content())


def test_a_message_reaches_every_recipient_as_text_and_html() -> None:
    with mail_server() as server:
        channel = mail(f"smtp://127.0.0.1:{server.port}", recipients=TO)
        channel.send(notice(message="All went well.").cleaned(as_is))
    [received] = server.messages
    assert received.recipients == ["ops@example.com", "lead@example.com"]
    assert received.sender == "ops@example.com"
    message = received.message
    assert message["Subject"] == "[ign-deploy] Deployment to production: deployed"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"].endswith("@example.com>")
    assert message["Date"].datetime.tzinfo is not None
    assert "Modules: com.example.pump 1.4.2 (was 1.4.1)" in part(message, "plain")
    assert '<a href="https://ci.example.com/runs/1">' in part(message, "html")
    assert server.greetings[-1] == "[127.0.0.1]"


def test_tls_comes_first_then_the_password(tls: Tls) -> None:
    with mail_server(tls, mode="starttls") as server:
        with_user(server.port, tls).send(notice())
    [received] = server.messages
    assert received.over_tls
    assert received.user == USER


def test_tls_from_the_start(tls: Tls) -> None:
    with mail_server(tls, mode="implicit") as server:
        with_user(server.port, tls, scheme="smtps").send(notice())
    assert server.messages[0].over_tls
    assert server.messages[0].user == USER


def test_a_server_without_tls_gets_neither_password_nor_message(tls: Tls) -> None:
    with mail_server() as server:
        failure = failure_of(with_user(server.port, tls))
    assert "does not support STARTTLS" in failure.message
    assert server.messages == []


def test_another_machine_needs_tls_without_any_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is on this machine, but the channel believes it is another one."""
    monkeypatch.setattr("ign_deploy.notify.mail.is_this_machine", lambda _: False)
    with mail_server() as server:
        failure = failure_of(mail(f"smtp://127.0.0.1:{server.port}", recipients=TO))
    assert "does not support STARTTLS" in failure.message
    assert server.messages == []


def test_a_certificate_that_cannot_be_trusted_stops_it(tls: Tls, tmp_path: Path) -> None:
    with mail_server(tls, mode="implicit") as server:
        channel = mail(f"smtps://localhost:{server.port}", recipients=TO)
        failure = failure_of(channel)
    assert "isn't trusted" in failure.message
    assert "CA file" in failure.hint
    assert server.messages == []


def test_a_wrong_password_says_so_and_shows_none(tls: Tls) -> None:
    with mail_server(tls, mode="starttls") as server:
        channel = with_user(server.port, tls, password="wr0ng")
        failure = failure_of(channel)
    assert "refused user and password (535)" in failure.message
    assert "wr0ng" not in failure.message + failure.hint + repr(channel)
    assert channel.secrets == ("wr0ng",)


def test_recipients_that_are_rejected_are_counted() -> None:
    with mail_server() as server:
        server.refused = {"lead@example.com"}
        channel = mail(f"smtp://127.0.0.1:{server.port}", recipients=TO)
        assert "refused 1 of 2 recipients" in failure_of(channel).message
        server.refused.add("ops@example.com")
        assert "refused every recipient" in failure_of(channel).message
    assert [each.recipients for each in server.messages] == [["ops@example.com"]]


def test_a_message_that_is_rejected_says_so_without_the_servers_words() -> None:
    with mail_server() as server:
        server.answer = "554 ::error::spam"
        failure = failure_of(mail(f"smtp://127.0.0.1:{server.port}", recipients=TO))
    assert failure.message == "127.0.0.1 answered 554"


def test_an_unreachable_server_is_reported() -> None:
    failure = failure_of(mail(f"smtp://127.0.0.1:{unused_port()}", recipients=TO))
    assert "127.0.0.1 refused the connection" in failure.message


def test_a_silent_server_is_not_waited_for() -> None:
    with scripted_server(Reply(200)) as server:
        port = server.server_address[1]
        failure = failure_of(mail(f"smtp://127.0.0.1:{port}", recipients=TO, timeout=0.2))
    assert "127.0.0.1" in failure.message


def test_hostile_texts_add_neither_headers_nor_markup() -> None:
    with mail_server() as server:
        channel = mail(f"smtp://127.0.0.1:{server.port}", recipients=TO)
        channel.send(hostile().cleaned(as_is))
    [received] = server.messages
    assert received.recipients == ["ops@example.com", "lead@example.com"]
    assert set(received.message.keys()) == {
        "Subject", "From", "To", "Date", "Message-ID", "Auto-Submitted",
        "X-Auto-Response-Suppress", "MIME-Version", "Content-Type",
    }  # fmt: skip
    html = part(received.message, "html")
    assert "<script>" not in html
    assert html.count("<a ") == 1
    assert html.count("<td>") == html.count("</td>")


@pytest.mark.parametrize(
    "url",
    ["", "mail.example.com", "http://mail.example.com", "smtp://", "smtp://h:x", "smtp://h/path",
     "smtp://h\nx", "smtp://[::1"],
)  # fmt: skip
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="neither smtp"):
        mail(url, recipients=TO)


def test_credentials_in_the_url_are_rejected_and_not_shown() -> None:
    with pytest.raises(ConfigurationError) as failure:
        mail("smtp://me:s3cret@mail.example.com", recipients=TO)
    assert "s3cret" not in failure.value.message + failure.value.hint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"username": "robot"}, "only one of"),
        ({"password": "x"}, "only one of"),
        ({"username": "robot", "password": "x\n"}, "line break"),
        ({"username": "robot", "password": "ü"}, "non-ASCII"),
        ({"sender": "nobody"}, "for the sender"),
        ({"ca": Path("/nonexistent.pem")}, "not found"),
        ({"recipients": " , "}, "no email recipients"),
    ],
)
def test_settings_that_cannot_work_are_rejected_before_anything(
    options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        mail("smtp://mail.example.com", **{"recipients": TO, **options})  # type: ignore[arg-type]


def test_the_usual_ports_are_the_defaults() -> None:
    assert mail("smtp://mail.example.com", recipients=TO).port == 587
    assert mail("smtps://mail.example.com", recipients=TO).port == 465


def test_the_user_is_the_sender_if_it_is_an_address() -> None:
    channel = mail("smtp://h", recipients=TO, username="robot@example.com", password="x")
    assert channel.sender == "robot@example.com"


@pytest.mark.parametrize("text", ["a@b.c;d@e.f", "a@b.c\nd@e.f", " a@b.c , d@e.f a@b.c"])
def test_recipients_are_separated_in_any_usual_way(text: str) -> None:
    assert parse_recipients(text) == ("a@b.c", "d@e.f")


@pytest.mark.parametrize(
    "text", ["a", "a@", "@b", "a@b@c", "<a@b.c>", '"a b"@c.d', "ä@b.c", "a@b.c\0", "a@[1.2.3.4"]
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="invalid email address"):
        parse_recipients(text)


@given(st.text())
def test_any_text_is_recipients_or_refused(text: str) -> None:
    try:
        found = parse_recipients(text)
    except ConfigurationError:
        return
    assert all(each.isascii() and "@" in each for each in found)
