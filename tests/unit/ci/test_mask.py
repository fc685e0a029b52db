"""Secrets are hidden in all their forms."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

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
    assert len(secret_forms(key)) < 400


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
