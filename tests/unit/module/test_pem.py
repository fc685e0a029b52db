"""PEM blocks in texts of all sorts."""

from __future__ import annotations

import pytest

from ign_deploy.module.pem import PemError, looks_like_pem, pem_blocks

BLOCK = b"-----BEGIN X-----\naGVs\nbG8=\n-----END X-----\n"


@pytest.mark.parametrize(
    "text",
    [
        BLOCK,
        BLOCK.replace(b"\n", b"\r\n"),
        BLOCK.replace(b"\n", b"\r"),
        BLOCK.replace(b"\n", b" "),
        BLOCK.replace(b"\n", b""),
        b"subject: someone\n" + BLOCK + b"trailing words",
        b"\xef\xbb\xbf" + BLOCK,
    ],
)
def test_line_ends_and_surroundings_do_not_matter(text: bytes) -> None:
    assert [block.decode() for block in pem_blocks(text)] == [b"hello"]


def test_blocks_come_in_file_order() -> None:
    text = BLOCK + BLOCK.replace(b"X", b"Y")
    assert [block.label for block in pem_blocks(text)] == ["X", "Y"]


def test_headers_of_an_encrypted_key_are_kept() -> None:
    text = (
        b"-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\r\nDEK-Info: AES-256-CBC,00\r\n"
        b"\r\naGVsbG8=\r\n-----END RSA PRIVATE KEY-----\r\n"
    )
    (block,) = pem_blocks(text)
    assert block.is_encrypted
    assert block.is_private_key
    assert block.canonical() == text.replace(b"\r", b"")


def test_canonical_text_has_lines_of_64() -> None:
    (block,) = pem_blocks(b"-----BEGIN X----- " + b"QUFB" * 30 + b" -----END X-----")
    assert [len(line) for line in block.canonical().splitlines()[1:-1]] == [64, 56]


@pytest.mark.parametrize(
    "text", [b"-----BEGIN X-----\naGVs\n", b"-----BEGIN X-----\naGVs\n-----END Y-----\n"]
)
def test_a_block_without_its_end_is_rejected(text: bytes) -> None:
    with pytest.raises(PemError, match="END"):
        list(pem_blocks(text))


def test_bad_base64_is_rejected() -> None:
    (block,) = pem_blocks(b"-----BEGIN X-----\na*b\n-----END X-----\n")
    with pytest.raises(PemError, match="Base64"):
        block.decode()


def test_text_without_a_block_is_not_pem() -> None:
    assert not looks_like_pem(b"BEGIN nothing")
    assert list(pem_blocks(b"")) == []


def test_a_block_never_shows_its_bytes() -> None:
    assert "aGVs" not in repr(next(pem_blocks(BLOCK)))
