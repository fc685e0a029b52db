"""Tokens in a process of their own: what a library does there is an error here, and no more."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Pipe
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError, SigningError
from ign_deploy.signing.keys import pkcs11_child, pkcs11_process
from ign_deploy.signing.keys.file import FileKey
from ign_deploy.signing.keys.pkcs11_process import TokenProcess, open_token_process
from ign_deploy.signing.keys.protocol import KeyAccess
from tests.support.identities import rsa_key, self_signed
from tests.support.softhsm import LIBRARY, PIN, Spy, softhsm

DIGESTS = [hashlib.sha256(b"%d" % number).digest() for number in range(5)]
# C_Initialize, C_Login and C_Sign are functions of SoftHSM's list, which begins with a version.
SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef unsigned long RV;
static void *list[69];
static RV misbehave() {
  const char *how = getenv("HOW");
  puts("printed"); fflush(stdout);
  if (!strcmp(how, "exit")) exit(0);
  if (!strcmp(how, "hang")) for (;;) pause();
  if (!strcmp(how, "close")) for (int each = 3; each < 99; each++) close(each);
  if (!strcmp(how, "fork") && fork() == 0) for (;;) pause();
  raise(SIGSEGV);
  return 0;
}
RV C_GetFunctionList(void **result) {
  void *given;
  void *softhsm = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW);
  RV (*get)(void **) = dlsym(softhsm, "C_GetFunctionList");
  int where = atoi(getenv("WHERE"));
  if (!where) return misbehave();
  get(&given);
  memcpy(list, given, sizeof list);
  list[where] = misbehave;
  *result = list;
  return 0;
}
"""
LOAD, INITIALIZE, LOGIN, SIGN = 0, 1, 19, 44


@pytest.fixture(autouse=True)
def no_pin_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkcs11_process, "_refused", {})


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the path of a library that misbehaves as the variables HOW and WHERE say."""
    folder = tmp_path_factory.mktemp("library")
    (folder / "library.c").write_text(SOURCE)
    command = ["gcc", "-w", "-shared", "-fPIC", "-o", "library.so", "library.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True, timeout=60)
    return str(folder / "library.so")


def open_key(
    library: str = LIBRARY,
    *,
    env: Mapping[str, str] | None = None,
    pin: str = PIN,
    timeout: float = 60.0,
    token: str = "Release",
) -> TokenProcess:
    environment = {**softhsm().environment, "PATH": os.defpath, **(env or {})}
    uri = softhsm().uri(library=library, token=token)
    return open_token_process(uri, access=KeyAccess(pin=pin, env=environment), timeout=timeout)


@pytest.fixture
def key() -> Iterator[TokenProcess]:
    opened = open_key()
    yield opened
    opened.close()


def test_signatures_are_those_of_the_same_key_from_a_file(key: TokenProcess) -> None:
    assert key.sign_digests(DIGESTS) == FileKey(rsa_key("signer")).sign_digests(DIGESTS)
    assert key.certificates == (self_signed("signer")[1],)
    assert key.location == "the token 'Release'"


@pytest.mark.parametrize(
    ("how", "where", "message"),
    [
        ("exit", LOAD, "ended its process with code 0"),
        ("crash", LOAD, "crashed (SIGSEGV)"),
        ("crash", INITIALIZE, "crashed (SIGSEGV)"),
        ("fork", LOGIN, "crashed (SIGSEGV)"),
        ("close", LOGIN, "crashed (SIGSEGV)"),
        ("hang", LOAD, "didn't answer within 2 s"),
    ],
)
def test_a_library_that_misbehaves_is_named(
    hostile: str, how: str, where: int, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(IdentityError) as caught:
        open_key(hostile, env={"HOW": how, "WHERE": str(where)}, timeout=2 if how == "hang" else 60)
    assert f"the PKCS#11 library {hostile} {message}" in caught.value.message
    assert "--key" in caught.value.hint
    assert PIN not in f"{caught.value.message} {caught.value.hint}"
    assert capfd.readouterr().out == ""


def test_a_library_that_crashes_while_it_signs_ends_the_signing(hostile: str) -> None:
    key = open_key(hostile, env={"HOW": "crash", "WHERE": str(SIGN)})
    with pytest.raises(SigningError, match="crashed") as caught:
        key.sign_digests(DIGESTS)
    assert not isinstance(caught.value, IdentityError)
    key.close()


def test_nothing_is_left_of_a_process_that_hangs(hostile: str) -> None:
    key = open_key(hostile, env={"HOW": "hang", "WHERE": str(SIGN)})
    key._timeout = 0.2
    with pytest.raises(SigningError, match="didn't answer"):
        key.sign_digests(DIGESTS)
    begin = time.monotonic()
    key.close()
    assert time.monotonic() - begin < pkcs11_process._END_TIMEOUT
    assert key._process.returncode == -9


def test_the_process_ends_when_it_is_left(key: TokenProcess) -> None:
    key.close()
    key.close()
    assert key._process.returncode == 0


def test_a_refused_pin_is_not_tried_by_another_process(tmp_path: Path) -> None:
    spy = Spy(tmp_path / "trace")
    for _ in range(2):
        with pytest.raises(IdentityError, match="the PIN of the token 'Guarded' is wrong"):
            open_key(spy.library, env=spy.environment, pin="0000000", token="Guarded")
    assert spy.count("C_Login") == 1


def test_the_process_has_the_pin_neither_in_its_environment_nor_in_its_command() -> None:
    secrets = {"MODULE_SIGNING_PIN": PIN, "INPUT_SIGNING-PIN": PIN, "COPY": f"{PIN}\n"}
    key = open_key(env={**secrets, "VENDOR_CONF": "kept"})
    process = Path(f"/proc/{key._process.pid}")
    command = process.joinpath("cmdline").read_bytes()
    key.close()
    environment = pkcs11_process._environment(KeyAccess(pin=PIN, env={**secrets, "VENDOR": "x"}))
    assert environment == {"VENDOR": "x"}
    assert PIN.encode() not in command


def test_an_answer_that_is_too_long_is_refused(
    key: TokenProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pkcs11_process, "_MAX_ANSWER", 10)
    with pytest.raises(SigningError, match="closed its connection"):
        key.sign_digests(DIGESTS)


def test_a_process_whose_parent_was_killed_ends_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The parent's end is closed while a call is being made."""

    def explain(_: Exception) -> dict[str, str]:
        mine.close()
        return {}

    monkeypatch.setattr(signal, "alarm", lambda _: None)
    monkeypatch.setattr(pkcs11_child, "protect_memory", lambda: None)
    monkeypatch.setattr(pkcs11_child, "_explain", explain)
    mine, theirs = Pipe()
    mine.send_bytes(b'{"pin": "", "uri": "pkcs11:"}')
    pkcs11_child.serve(os.dup(theirs.fileno()), 1)
    theirs.close()
