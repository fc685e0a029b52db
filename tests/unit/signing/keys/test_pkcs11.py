"""Keys in SoftHSM: the same bytes as a key from a file, and what is wrong is named."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pkcs11
import pytest
from pkcs11 import TokenFlag

from ign_deploy.errors import IdentityError, SigningError
from ign_deploy.net.errors import TransientFailure
from ign_deploy.report import SilentReporter
from ign_deploy.signing.identity import IdentityMaterial, SigningIdentity, load_identity
from ign_deploy.signing.keys import pkcs11 as adapter
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.pkcs11_token import NoToken
from ign_deploy.signing.keys.protocol import KeyAccess
from tests.support.identities import pem_certificates, rsa_key, self_signed
from tests.support.reporting import Recorder
from tests.support.softhsm import LIBRARY, PIN, softhsm

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(20)]


@pytest.fixture(autouse=True)
def no_pin_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "_refused", set())


@pytest.fixture(autouse=True)
def same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The key is opened here; test_pkcs11_process.py has the process that it is in otherwise."""
    name = "ign_deploy.signing.keys.pkcs11_process.open_token_process"
    monkeypatch.setattr(name, adapter.open_pkcs11_key)


@contextmanager
def opened(
    key: str = "object=signer",
    *,
    token: str = "Release",
    pin: str = PIN,
    certificates: str | None = None,
) -> Iterator[SigningIdentity]:
    material = IdentityMaterial(key=softhsm().uri(key, token=token), certificates=certificates)
    identity = load_identity(material, access=KeyAccess(pin=pin))
    try:
        yield identity
    finally:
        identity.close()


def refused(key: str = "object=signer", **more: Any) -> SigningError:
    with pytest.raises(SigningError) as caught, opened(key, **more):
        pass
    assert caught.value.hint
    assert PIN not in f"{caught.value.message} {caught.value.hint}"
    return caught.value


@pytest.mark.parametrize(
    "key", ["object=signer", "id=%01", "object=asking", "object=signer;type=private"]
)
def test_signatures_are_those_of_the_same_key_from_a_file(key: str) -> None:
    wanted = FileKey(rsa_key("signer")).sign_digests(DIGESTS)
    with opened(key) as identity:
        signed = identity.sign_digests(DIGESTS, reporter=SilentReporter())
        assert list(signed.values()) == list(wanted)
        assert identity.location == "the token 'Release'"
        assert identity.leaf == self_signed("signer")[1]


def test_the_certificate_can_be_given() -> None:
    certificate = pem_certificates(self_signed("bare")[1]).decode()
    with opened("object=bare", certificates=certificate) as identity:
        assert identity.sign_digests(DIGESTS[:1], reporter=SilentReporter())


def test_tokens_are_told_apart_by_serial_and_slot() -> None:
    tokens = [
        each
        for each in pkcs11_library().get_tokens(token_label="Double")
        if TokenFlag.TOKEN_INITIALIZED in each.flags
    ]
    assert len(tokens) == 2
    for chosen in (f"serial={tokens[0].serial.decode()}", f"slot-id={tokens[1].slot.slot_id}"):
        assert "has no private key" in refused(chosen, token="Double").message


def pkcs11_library() -> Any:
    softhsm()
    return pkcs11.lib(LIBRARY)


@pytest.mark.parametrize(
    ("key", "token", "message", "hint"),
    [
        ("object=sinner", "Release", "'Release' has no private key that matches", "'signer'"),
        ("id=%FF", "Release", "'Release' has no private key that matches", "'signer'"),
        ("object=x", "Empty", "'Empty' has no private key", "create a key"),
        ("object=twin", "Release", "2 private keys in the token 'Release' match", "id=%06, id=%07"),
        ("object=signer", "Absent", "no token matches --key", "'Release' (slot-id="),
        ("object=signer", "Double", "2 tokens match --key", "serial= or slot-id="),
        ("object=silent", "Release", "not allowed to sign (CKA_SIGN is false)", "--key"),
        ("object=curve", "Release", "the signing key is not RSA (EC)", "use an RSA key"),
        ("object=short", "Release", "the RSA key has 1024 bits", "use a longer key"),
        ("object=bare", "Release", "the key doesn't match the certificates", "certificate"),
    ],
)
def test_what_the_token_does_not_have_is_named(
    key: str, token: str, message: str, hint: str
) -> None:
    problem = refused(key, token=token)
    assert message in problem.message
    assert hint in problem.hint


def test_the_certificate_of_another_key_is_refused_before_anything_is_signed() -> None:
    problem = refused(certificates=pem_certificates(self_signed("other")[1]).decode())
    assert "the key doesn't match the certificates" in problem.message


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/nowhere/libtoken.so", "the PKCS#11 library /nowhere/libtoken.so doesn't exist"),
        (__file__, "can't be used as a PKCS#11 library"),
        ("/etc", "the PKCS#11 library /etc doesn't exist"),
    ],
)
def test_a_library_that_is_none_is_named(path: str, message: str) -> None:
    with pytest.raises(IdentityError) as caught:
        load_identity(IdentityMaterial(key=f"pkcs11:token=x?module-path={path}"))
    assert message in caught.value.message
    assert "module-path in --key" in caught.value.hint


def test_a_missing_pin_is_named() -> None:
    problem = refused(pin="")
    assert problem.message == "the token 'Release' needs a PIN, but none is given"
    assert "MODULE_SIGNING_PIN" in problem.hint


def test_a_line_break_after_the_pin_costs_no_attempt() -> None:
    with opened(pin=PIN + "\r\n") as identity:
        assert identity.sign_digests(DIGESTS[:1], reporter=SilentReporter())


def test_a_pin_that_is_no_text_is_refused() -> None:
    assert "is not a PIN" in refused(pin="12\udcff34").message


class CountedToken:
    """A token that counts how often a PIN is tried, and may have other flags."""

    def __init__(self, token: Any, flags: TokenFlag | None = None) -> None:
        self._token = token
        self.flags = token.flags if flags is None else token.flags | flags
        self.opened = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._token, name)

    def open(self, **pins: Any) -> Any:
        self.opened += 1
        return self._token.open(**pins)


def counted(
    monkeypatch: pytest.MonkeyPatch, label: str, flags: TokenFlag | None = None
) -> CountedToken:
    token = CountedToken(pkcs11_library().get_token(token_label=label), flags)
    monkeypatch.setattr(adapter, "find_token", lambda *_: token)
    return token


def test_a_wrong_pin_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    token = counted(monkeypatch, "Guarded")
    for _ in range(3):
        problem = refused(token="Guarded", pin="0000000")
        assert "the PIN of the token 'Guarded' is wrong" in problem.message
        assert "MODULE_SIGNING_PIN" in problem.hint
    assert token.opened == 1
    assert "no private key" in refused(token="Guarded").message  # the right one is still tried
    assert token.opened == 2


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        (TokenFlag.USER_PIN_LOCKED, "is locked"),
        (TokenFlag.USER_PIN_FINAL_TRY, "has one attempt left before it locks"),
    ],
)
def test_a_token_that_is_locked_or_about_to_be_is_not_tried(
    monkeypatch: pytest.MonkeyPatch, flag: TokenFlag, message: str
) -> None:
    token = counted(monkeypatch, "Release", flag)
    assert message in refused().message
    assert token.opened == 0


@pytest.mark.parametrize("error", [pkcs11.PinLocked, pkcs11.PinExpired, pkcs11.PinIncorrect])
def test_a_pin_refused_while_signing_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    with opened("object=asking") as identity:
        token = counted(monkeypatch, "Release")

        def refuse(*_: object, **__: object) -> bytes:
            raise error

        key = identity.signer.key
        assert isinstance(key, adapter.Pkcs11Key)
        key.close()
        monkeypatch.setattr(key, "connect", lambda: _failing(refuse))
        with pytest.raises(IdentityError):
            identity.sign_digests(DIGESTS, reporter=SilentReporter())
    assert token.opened == 0
    assert adapter._refused


def _failing(sign: Any) -> Any:
    class Key:
        def __init__(self) -> None:
            self.sign = sign

    class Session:
        def close(self) -> None: ...

    return adapter._Found(Session(), Key(), asks_each_time=True)


def test_a_lost_session_is_opened_again_and_nothing_is_signed_twice() -> None:
    reporter = Recorder()
    with opened() as identity:
        key = identity.signer.key
        assert isinstance(key, adapter.Pkcs11Key)
        assert key._found is not None
        first = identity.sign_digests(DIGESTS[:5], reporter=reporter)
        key._found.session.close()
        second = identity.sign_digests(DIGESTS, reporter=reporter)
    assert {**second, **first} == second
    (warning,) = reporter.warnings
    assert "the token 'Release' failed: SessionHandleInvalid" in warning


def test_a_token_that_is_gone_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened() as identity:
        key = identity.signer.key
        key.close()
        monkeypatch.setattr(adapter, "find_token", _absent)
        with pytest.raises(TransientFailure, match="no token is present"):
            key.sign_digests(DIGESTS[:1])


def _absent(*_: object) -> Any:
    raise NoToken("no token is present", hint="connect it.")


def test_another_key_after_a_lost_session_is_refused() -> None:
    with opened() as identity:
        key = identity.signer.key
        assert isinstance(key, adapter.Pkcs11Key)
        key.close()
        key.public_key = rsa_key("other").public_key()
        with pytest.raises(SigningError, match="another key than before"):
            key.sign_digests(DIGESTS[:1])


def test_two_keys_of_a_token_can_be_open_at_once() -> None:
    certificate = pem_certificates(self_signed("bare")[1]).decode()
    with opened() as first, opened("object=bare", certificates=certificate) as second:
        assert second.sign_digests(DIGESTS, reporter=SilentReporter())
        assert first.sign_digests(DIGESTS, reporter=SilentReporter())


def test_nothing_shows_the_pin() -> None:
    with opened() as identity:
        assert PIN not in repr(identity) + repr(identity.signer.key)
    assert PIN not in repr(KeyAccess(pin=PIN))


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pkcs11", None)
    with pytest.raises(IdentityError) as caught:
        load_identity(IdentityMaterial(key=f"pkcs11:?module-path={Path(LIBRARY)}"))
    assert "pip install 'ign-deploy[pkcs11]'" in caught.value.hint
