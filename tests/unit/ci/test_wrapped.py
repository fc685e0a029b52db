"""Encoded secrets are hidden where line breaks cut them."""

from __future__ import annotations

import base64
import json
import random
import time

import pytest

from ign_deploy.ci.mask import Masker
from ign_deploy.ci.wrapped import SHORTEST_PART, WrappedForms

SECRET = "t0p-s3cret-p4ssw0rd"


def masker_of(secret: str = SECRET) -> Masker:
    masker = Masker()
    masker.add(secret)
    return masker


def visible(line: str, redacted: str) -> list[bool]:
    """Return for each character of a line whether it is still there."""
    head, mark, tail = redacted.partition("***")
    if not mark:
        return [True] * len(line)
    return [n < len(head) or n >= len(line) - len(tail) for n in range(len(line))]


@pytest.mark.parametrize("width", [20, 57, 60, 64, 70, 76])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_little_of_a_secret_stays_wherever_a_line_breaks(width: int, encode: object) -> None:
    chance = random.Random(76)
    for _ in range(300):
        secret = "".join(chance.choices("abcXYZ019?>~/-", k=chance.randint(12, 60)))
        before = "x" * chance.randint(0, 100)
        text = base64.b64encode(f"{before}{secret}{'y' * 50}".encode()).decode()
        if encode is base64.urlsafe_b64encode:
            text = text.replace("+", "-").replace("/", "_")
        masker = masker_of(secret)
        shown: list[bool] = []
        for start in range(0, len(text), width):
            line = text[start : start + width]
            shown += visible(line, masker.redact(line))
        first, last = -(-len(before) * 4 // 3), (len(before) + len(secret)) * 4 // 3
        left = "".join("x" if each else " " for each in shown[first + 1 : last - 1])
        assert max(map(len, left.split()), default=0) < SHORTEST_PART, (secret, before)


@pytest.mark.parametrize("joint", ["\n", "\r\n", "\n  ", "\\n", "\\r\\n", "\\\\n", "%0A", '",\n "'])
def test_breaks_count_as_texts_write_them(joint: str) -> None:
    encoded = base64.b64encode(f"user:{SECRET}".encode()).decode()
    for cut in range(12, 28):
        text = f"<{encoded[:cut]}{joint}{encoded[cut:]}>"
        assert masker_of().redact(text).count("***") == 2, text


def test_a_break_within_json_is_kept() -> None:
    encoded = base64.encodebytes(f"{'user' * 13}{SECRET}{SECRET}".encode()).decode()
    text = json.dumps({"data": encoded, "path": "C:\\new\\nothing", "two": "a\nb"})
    parsed = json.loads(masker_of().redact(text))
    assert (parsed["path"], parsed["two"]) == ("C:\\new\\nothing", "a\nb")
    assert "***" in parsed["data"]


def test_hexadecimal_dumps_are_covered() -> None:
    dump = f"{'user'}{SECRET}{'tail' * 20}".encode().hex()
    lines = [masker_of().redact(dump[at : at + 32]) for at in range(0, len(dump), 32)]
    assert all("***" in line for line in lines[:2])
    assert SECRET.encode().hex()[:16] not in "".join(lines)


def test_ordinary_text_stays() -> None:
    text = "error: dGVz t0p s3cr \\n path C:\\new %0A\r\n==\n\n  > quoted\n"
    assert masker_of().redact(text) == text
    assert list(WrappedForms().spans(text)) == []


def test_a_long_log_takes_little_time() -> None:
    key = base64.b64encode(random.Random(1).randbytes(3000)).decode()
    masker = masker_of(key)
    for text in ("\\" * 200_000, "\\n" * 100_000, "%0" * 100_000, " \n" * 100_000):
        begin = time.process_time()
        masker.redact(text)
        assert time.process_time() - begin < 2
    line = "[INFO] Building module com.example.pump 1.2.0 (12/40) /home/user/.m2/repository"
    masker.redact(line)
    begin = time.process_time()
    for _ in range(10_000):
        masker.redact(line)
    assert time.process_time() - begin < 2
