"""Secrets as path, Base64 or value, and messages that never repeat them."""

from __future__ import annotations

import base64
import os
import textwrap
import threading
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError
from ign_deploy.signing.identity import IdentityMaterial, read_material
from tests.support.identities import pem_key, rsa_key
from tests.support.keystores import VECTORS

JKS = VECTORS / "self2048.jks"


def test_pem_text_is_taken_as_it_is() -> None:
    text = pem_key(rsa_key()).decode()
    assert read_material(text, what="key") == text.encode()


def test_pem_on_one_line_with_written_out_line_feeds_is_unfolded() -> None:
    text = pem_key(rsa_key()).decode()
    assert read_material(text.replace("\n", "\\n"), what="key") == text.encode()
    assert read_material(text.replace("\n", "\\r\\n"), what="key") == text.encode()


def test_a_path_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_material(str(JKS), what="keystore") == JKS.read_bytes()
    monkeypatch.chdir(VECTORS)
    assert read_material("self2048.jks", what="keystore") == JKS.read_bytes()
    assert read_material(" ./self2048.jks\n", what="keystore") == JKS.read_bytes()


def test_a_pipe_is_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"secret",))
    writer.start()
    try:
        assert read_material(str(pipe), what="key") == b"secret"
    finally:
        writer.join()


@pytest.mark.parametrize("file", ["self2048.jks", "chain.pfx", "leaf.key"])
def test_base64_is_decoded_wrapped_or_not(file: str) -> None:
    data = (VECTORS / file).read_bytes()
    for text in (base64.b64encode(data), base64.encodebytes(data)):
        assert read_material(text.decode(), what="key") == data
        assert read_material(f"  {text.decode()}\r\n", what="key") == data


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "c2VjcmV0",
        "ghp_0123456789abcdefABCDEF0123456789abcd",
        "/u3+7QAAAAIAAAABsecret*",
        "MIIEvQIBADANBgkqhkiG9w0BAQ",
        "a" * 5000,
        "pass\0word",
        "line one\nline two",
        "x" * 40 + ".pem",
        "https://user:token@host/key.pem",
    ],
)
def test_a_value_that_is_nothing_is_never_repeated(text: str) -> None:
    with pytest.raises(IdentityError) as caught:
        read_material(text, what="signing key")
    shown = f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"
    assert text.strip() not in shown
    assert "signing key" in shown
    assert "PEM" in shown
    assert caught.value.hint


@pytest.mark.parametrize("text", ["keys/signing.p12", "./a.jks", "old\\key.pem"])
def test_a_missing_file_is_named(text: str) -> None:
    with pytest.raises(IdentityError) as caught:
        read_material(text, what="signing key")
    assert text in caught.value.message


def test_base64_letters_that_are_a_missing_path_are_not_a_key() -> None:
    with pytest.raises(IdentityError, match="neither an existing file"):
        read_material("keys/signing", what="signing key")


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_value_is_said_to_be_empty(text: str) -> None:
    with pytest.raises(IdentityError, match="is empty"):
        read_material(text, what="signing key")


def test_an_empty_or_a_huge_file_is_rejected(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(b"\n")
    with pytest.raises(IdentityError, match="is empty"):
        read_material(str(tmp_path / "empty.pem"), what="signing key")
    with (tmp_path / "huge").open("wb") as stream:
        stream.truncate(5 << 20)
    with pytest.raises(IdentityError, match="larger"):
        read_material(str(tmp_path / "huge"), what="signing key")


def test_a_folder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(IdentityError, match="directory"):
        read_material(str(tmp_path), what="signing key")


def test_material_shows_nothing_but_the_alias() -> None:
    material = IdentityMaterial("k3y", "c3rt", "st0re", "pw1", "pw2", "signer")
    assert repr(material) == "IdentityMaterial(alias='signer')"


@pytest.mark.parametrize("columns", [0, 64, 76])
def test_a_file_that_holds_base64_is_decoded(tmp_path: Path, columns: int) -> None:
    encoded = base64.b64encode(JKS.read_bytes()).decode()
    lines = [encoded] if not columns else textwrap.wrap(encoded, columns)
    file = tmp_path / "variable"
    for start, end in (("", ""), ("", "\r\n"), ("\ufeff", "\n")):
        file.write_text(start + "\r\n".join(lines) + end, newline="")
        assert read_material(str(file), what="keystore") == JKS.read_bytes()


def test_a_file_of_pem_in_base64_is_decoded(tmp_path: Path) -> None:
    pem = pem_key(rsa_key())
    (tmp_path / "variable").write_bytes(base64.b64encode(pem))
    assert read_material(str(tmp_path / "variable"), what="key") == pem


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_text_is_named_as_such(tmp_path: Path, encoding: str) -> None:
    text = "\ufeff" if encoding == "utf-16-be" else ""
    (tmp_path / "key.pem").write_text(text + pem_key(rsa_key()).decode(), encoding=encoding)
    with pytest.raises(IdentityError, match="the file of the key is UTF-16 text") as caught:
        read_material(str(tmp_path / "key.pem"), what="key")
    assert "save it as UTF-8" in caught.value.hint
