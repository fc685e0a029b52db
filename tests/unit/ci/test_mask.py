"""Secrets are hidden in all their forms."""

from __future__ import annotations

import base64
import html
import json
import shlex
import time
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from ign_deploy.ci.mask import Masker, secret_forms

PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----\n"


def hidden(secret: str, text: str) -> str:
    masker = Masker()
    masker.add(secret)
    return masker.redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "s3cr&t/wörd",
        base64.b64encode("s3cr&t/wörd".encode()).decode(),
        base64.b64encode("s3cr&t/wörd\n".encode()).decode(),
        base64.b64encode("s3cr&t/wörd".encode()).decode().rstrip("="),
        base64.urlsafe_b64encode("s3cr&t/wörd".encode()).decode(),
        quote("s3cr&t/wörd", safe=""),
        json.dumps("s3cr&t/wörd")[1:-1],
        json.dumps("s3cr&t/wörd", ensure_ascii=False)[1:-1],
        json.dumps("s3cr&t/wörd")[1:-1].replace("/", "\\/"),
        json.dumps("s3cr&t/wörd")[1:-1].replace("&", "\\u0026"),
        quote("s3cr&t/wörd"),
        quote("s3cr&t/wörd", safe="").lower(),
        html.escape("s3cr&t/wörd"),
        "s3cr&t/wörd".encode().hex(),
        "s3cr&t/wörd".encode().hex().upper(),
    ],
)
def test_a_secret_is_redacted_in_every_form(text: str) -> None:
    masked = hidden("s3cr&t/wörd", f"<{text}>")
    assert text not in masked
    assert masked.startswith("<***")


def test_each_line_of_a_secret_is_redacted() -> None:
    assert hidden(PEM, "x MIIEvQIBADANBgkq y") == "x *** y"
    assert hidden(PEM, PEM) == "***"
    assert hidden(PEM.replace("\n", "\r\n"), "hkiG9w0BAQEFAASC") == "***"


@pytest.mark.parametrize("width", [64, 76])
def test_base64_in_lines_is_redacted(width: int) -> None:
    key = PEM.replace("hkiG9w0BAQEFAASC", "hkiG9w0BAQEFAASC" * 20)
    encoded = base64.b64encode(key.encode()).decode()
    masker = Masker()
    masker.add(key)
    for start in range(0, len(encoded), width):
        assert masker.redact(encoded[start : start + width]) == "***"


def test_a_private_key_has_few_enough_forms_for_a_runner() -> None:
    lines = "\n".join(f"{number:064d}" for number in range(50))
    key = f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n"
    assert len(secret_forms(key)) < 600


def test_the_frame_of_a_pem_block_stays_readable() -> None:
    assert hidden(PEM, "-----BEGIN PRIVATE KEY-----") == "-----BEGIN PRIVATE KEY-----"


def test_what_a_base64_secret_contains_is_redacted_too() -> None:
    assert hidden(base64.b64encode(PEM.encode()).decode(), "hkiG9w0BAQEFAASC") == "***"


def test_a_secret_is_redacted_with_and_without_the_blanks_around_it() -> None:
    assert hidden("hunter22\n", "hunter22!") == "***!"


def test_the_longer_of_two_secrets_is_redacted_first() -> None:
    masker = Masker()
    masker.add("abcd")
    masker.add("abcdefgh")
    assert masker.redact("abcdefgh") == "***"


@pytest.mark.parametrize("blank", ["", " ", "\n\n"])
def test_a_blank_secret_hides_nothing(blank: str) -> None:
    assert secret_forms(blank) == set()
    assert hidden(blank, "some text\n") == "some text\n"


def test_short_lines_of_a_long_secret_hide_no_ordinary_text() -> None:
    assert hidden('{\n"token": "hunter22"\n}', "{ }") == "{ }"


def test_adding_a_secret_again_returns_nothing_new() -> None:
    masker = Masker()
    assert masker.add("hunter22")
    assert masker.add("hunter22") == ()


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "user:", "user1:"])
@pytest.mark.parametrize("after", ["", "\n", "zz", "zzz"])
def test_a_secret_inside_longer_base64_is_redacted(
    encoding: str, encode: Callable[[bytes], bytes], before: str, after: str
) -> None:
    """A password in the Base64 of user and password begins at any of three offsets."""
    secret = "Sünde?>~hunter22"
    text = encode(f"{before}{secret}{after}".encode(encoding)).decode()
    redacted = hidden(secret, text)
    assert "***" in redacted
    # At most the characters stay that the secret shares with its neighbours.
    rest = redacted.replace("***", "")
    assert len(rest) <= len(text) - len(secret.encode(encoding)) * 8 // 6 + 1


@pytest.mark.parametrize("secret", ["hunter22", "Sünde?>~hunter22", PEM, "a-token-" * 30])
@pytest.mark.parametrize("before", ["", "x", "ab", "user: "])
def test_base64_of_utf_16_is_redacted(secret: str, before: str) -> None:
    """PowerShell's -EncodedCommand."""
    text = base64.b64encode(f"{before}{secret} after".encode("utf-16-le")).decode()
    redacted = hidden(secret, text)
    assert "***" in redacted
    rest = redacted.replace("***", "")
    assert len(rest) <= len(text) - len(secret.encode("utf-16-le")) * 8 // 6 + 1


@pytest.mark.parametrize("secret", ["hunter22", "Sünde?>~hunter22", PEM, "a-token-" * 30])
@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize(
    "encode",
    [
        base64.b32encode,
        lambda data: base64.b32encode(data).rstrip(b"=").lower(),
        lambda data: base64.b64encode(base64.b64encode(data)),
        lambda data: base64.b64encode(base64.b64encode(data) + b"\n"),
        lambda data: base64.b64encode(base64.encodebytes(data)),
        lambda data: base64.encodebytes(base64.encodebytes(data)),
    ],
    ids=["Base32", "base32", "twice", "twice, lines", "wrapped, twice", "twice, wrapped"],
)
def test_base32_and_base64_of_base64_are_redacted(
    encode: Callable[[bytes], bytes], end: str, secret: str
) -> None:
    text = encode(f"{secret}{end}".encode()).decode()
    redacted = "\n".join(hidden(secret, line) for line in text.splitlines())
    assert "***" in redacted
    assert len(redacted.replace("***", "").replace("\n", "")) <= 12, redacted


def test_form_encoded_and_quoted_secrets_are_redacted() -> None:
    secret = 'two words \'n "quotes"'
    for text in (
        quote_plus(secret),
        repr(secret)[1:-1],
        html.escape(secret),
        html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
        html.escape(secret).replace("&#x27;", "&apos;"),
        html.escape(secret, quote=False),
        json.dumps(json.dumps(secret))[3:-3],
        secret.replace("'", "'\\''"),
        shlex.quote(secret)[1:-1],
        secret.encode().hex(" "),
        secret.encode().hex(":").upper(),
    ):
        assert hidden(secret, f"<{text}>") == "<***>", text


def test_characters_beyond_ascii_are_redacted_as_programs_escape_them() -> None:
    secret = "pässwörd€"
    for text in (repr(secret.encode())[2:-1], "p&#228;ssw&#246;rd&#8364;"):
        assert hidden(secret, f"<{text}>") == "<***>"
    assert hidden("a b$c(d)", "<a\\ b\\$c\\(d\\)>") == "<***>"


@pytest.mark.parametrize(
    "header",
    [
        "Authorization: Basic {}",
        "> authorization: Bearer {}",
        "Proxy-Authorization: Basic {}",
        '{{"Authorization": "token {}"}}',
        "{{'authorization': 'Bearer {}'}}",
        '"{{\\"Authorization\\": \\"Bearer {}\\"}}"',
        "AUTHORIZATION=Bearer {}",
    ],
)
def test_what_authorization_headers_hold_is_redacted(header: str) -> None:
    """Also credentials that we don't know: those of a build, or of a tool that it runs."""
    assert Masker().redact(header.format("dXNlcjpwYXNz==")) == header.format("***")


@pytest.mark.parametrize(
    "text", ["authorization: required", "the authorization failed", "Basic authentication"]
)
def test_text_about_authorization_stays_readable(text: str) -> None:
    assert Masker().redact(text) == text


@pytest.mark.parametrize("secret", ["m", "abc", " abc\n", "1\n2\n3"])
def test_a_secret_that_is_too_short_garbles_no_text(secret: str) -> None:
    assert hidden(secret, "com.example.abc 123") == "com.example.abc 123"


def test_overlapping_secrets_leave_nothing_of_either() -> None:
    masker = Masker()
    masker.add("first-secret")
    masker.add("secret-second")
    assert masker.redact("<first-secret-second>") == "<***>"
    assert hidden("abcabc", "abcabcabc") == "***"


def test_redacting_takes_time_in_proportion_to_the_text() -> None:
    lines = "\n".join(base64.b64encode(bytes([number]) * 48).decode() for number in range(200))
    masker = Masker()
    masker.add(f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n")
    for number in range(50):
        masker.add(f"a-token-with-the-number-{number}")
    masker.add("a" * 4000 + "b")
    for text in ("a" * 1_000_000, "authorization: " * 60_000, "MIIEvQIBADANBgkq" * 60_000):
        began = time.process_time()
        masker.redact(text)
        assert time.process_time() - began < 8


@pytest.mark.parametrize("secret", ["x9Q-", "s3cr&t/wö", "ten-chars!", "11-charsöö!", PEM])
def test_a_secret_is_found_wherever_it_begins(secret: str) -> None:
    masker = Masker()
    for form in masker.add(secret):
        for before in range(20):
            assert form not in masker.redact(f"{'.' * before}{form}")


def test_text_without_secrets_is_redacted_fast() -> None:
    lines = "\n".join(base64.b64encode(bytes([number]) * 48).decode() for number in range(60))
    masker = Masker()
    masker.add(f"-----BEGIN PRIVATE KEY-----\n{lines}\n-----END PRIVATE KEY-----\n")
    line = "> Task :compileJava" + " and more" * 15
    began = time.process_time()
    for _ in range(30_000):
        masker.redact(line)
    assert time.process_time() - began < 0.6
