"""signatures.properties: its lines, and which of them are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from ign_deploy.errors import VerificationError
from ign_deploy.module.archive import Archive
from ign_deploy.module.signature import format_signatures, needs_signature, parse_signatures
from tests.support.modules import RawEntry, write_zip


def codes(data: bytes) -> list[tuple[str, str]]:
    return [(finding.code, finding.location) for finding in parse_signatures(data).findings]


def test_lines_are_sorted_and_read_back() -> None:
    signatures = {"b.jar": b"\1" * 256, "a b=c.jar": b"\2" * 256, "doc/ü.html": b"\3" * 256}
    data = format_signatures(signatures)
    assert [line[:4] for line in data.splitlines()] == [b"/a\\ ", b"/b.j", b"/doc"]
    assert data == format_signatures(dict(reversed(signatures.items())))
    assert parse_signatures(data).signatures == signatures
    assert parse_signatures(data).findings == ()


def test_a_crlf_file_with_a_date_comment_and_folded_values_is_read() -> None:
    data = b"#Thu Jan 01 00:00:00 UTC 2026\r\n/a.jar=QUJD\\\r\n  REVG\r\n/b.jar : QQ\\=\\=\r\n"
    assert parse_signatures(data).signatures == {"a.jar": b"ABCDEF", "b.jar": b"A"}


def test_a_line_without_slash() -> None:
    assert codes(b"a.jar=QUJD") == [("signature-line-name", "a.jar")]


@pytest.mark.parametrize("name", ["signatures.properties", "certificates.p7b"])
def test_a_stale_line_for_a_signature_file(name: str) -> None:
    lines = parse_signatures(f"/{name}=QUJD".encode())
    assert [finding.code for finding in lines.findings] == ["signature-self-line"]
    assert lines.signatures == {}


def test_a_repeated_line_keeps_the_first() -> None:
    lines = parse_signatures(b"/a.jar=QUJD\n/a.jar=REVG")
    assert [finding.code for finding in lines.findings] == ["signature-line-repeated"]
    assert lines.signatures == {"a.jar": b"ABC"}


@pytest.mark.parametrize("value", ["?", "QUJ", "QUJD QUJD", "QUJD\\n", "\\u20AC", "QU-_"])
def test_a_value_that_is_not_base64(value: str) -> None:
    lines = parse_signatures(f"/a.jar={value}".encode())
    assert [finding.code for finding in lines.findings] == ["signature-base64"]
    assert lines.signatures == {"a.jar": b""}


def test_a_file_that_java_cannot_load_is_rejected() -> None:
    with pytest.raises(VerificationError) as caught:
        parse_signatures(b"/a.jar=\\u12")
    assert [finding.code for finding in caught.value.findings] == ["signature-syntax"]


def test_untrusted_characters_are_escaped_in_findings() -> None:
    assert codes(b"\\u001b[31mred=x") == [("signature-line-name", "\\x1b[31mred")]


def test_every_file_but_the_signature_itself_needs_a_line(tmp_path: Path) -> None:
    names = [
        "module.xml",
        "doc/",
        "signatures.properties",
        "certificates.p7b",
        "x/certificates.p7b",
    ]
    entries = [RawEntry(name, b"", 0) for name in names]
    with Archive.open(write_zip(tmp_path / "a.zip", entries)) as archive:
        assert [needs_signature(entry) for entry in archive.entries] == [
            True, False, False, False, True,
        ]  # fmt: skip


def test_far_more_lines_than_files_are_not_read() -> None:
    for line in (b"a\n", b"/%d=QUJD\n", b"/a=\n"):
        data = b"".join(line % number if b"%" in line else line for number in range(300))
        with pytest.raises(VerificationError) as caught:
            parse_signatures(data, files=150)
        assert [finding.code for finding in caught.value.findings] == ["signature-lines"]
    assert len(parse_signatures(b"a\n" * 300, files=300).findings) == 101
