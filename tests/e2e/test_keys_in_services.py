"""A module signed by OpenBao is the one that a key from a file gives; its token is not seen."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.interop.compare_modules import read_by_java
from tests.support.builds import gradle_wrapper
from tests.support.cli import CliWorkspace
from tests.support.identities import pem_files, rsa_key, self_signed
from tests.support.modules import build_module
from tests.support.servers.openbao import OpenBao, recording, running_openbao
from tests.support.signing import verified_by_openssl

FILES = 300
URI = "vault:transit/keys/release"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        server.import_key("release", rsa_key("vault"))
        yield server


def test_300_files_have_the_same_bytes_and_openssl_and_java_verify_them(
    workspace: CliWorkspace, bao: OpenBao
) -> None:
    token = bao.token(ttl="1h")
    files: dict[str, bytes | None] = {f"doc/{each}.html": b"%d" % each for each in range(FILES)}
    module = build_module(workspace.folder / "large.unsigned.modl", files=files)
    key, certificates = pem_files(workspace.folder, rsa_key("vault"), (self_signed("vault")[1],))
    given = ("--cert-path", certificates, "--key")
    with recording(bao) as between:
        env = {"VAULT_ADDR": between.url, "VAULT_TOKEN": token}
        result = workspace.call("sign", module, "-o", "a", "--verbose", *given, URI, env=env)
        result.must(0)
        assert len(between.matching("POST .*/sign/")) <= 10
    assert token not in result.stdout + result.stderr
    workspace.call("sign", module, "-o", "b", *given, key).must(0)
    signed = workspace.folder / "a" / "large.modl"
    assert signed.read_bytes() == (workspace.folder / "b" / "large.modl").read_bytes()

    (java,) = read_by_java([signed])
    assert java.signature == "intact"
    assert verified_by_openssl(signed, "doc/7.html", certificate=certificates)


def test_a_build_sees_nothing_of_it_and_a_check_says_where_the_key_is(
    workspace: CliWorkspace, bao: OpenBao
) -> None:
    made = build_module(workspace.folder / "made.modl")
    gradle_wrapper(
        workspace.folder / "project",
        "mkdir -p build",
        "env >build/seen; cat /proc/self/cmdline /proc/$PPID/cmdline >>build/seen",
        f"cp {made} build/Pump.modl",
    )
    pem_files(workspace.folder, rsa_key("vault"), (self_signed("vault")[1],))
    token = bao.token(ttl="1h")
    env = {
        "VAULT_ADDR": bao.url,
        "VAULT_TOKEN": token,
        "MODULE_SIGNING_KEY": URI,
        "MODULE_SIGNING_CERT_PATH": "signing.cert.pem",
    }
    result = workspace.call("module", "project", "--verbose", env=env).must(0)
    assert token not in result.stdout + result.stderr
    seen = (workspace.folder / "project" / "build" / "seen").read_text()
    assert "PATH=" in seen
    for hidden in (token, "VAULT", "vault:", "SIGNING"):
        assert hidden not in seen
    checked = workspace.call("validate-env", "--signing", "--json", env=env).must(0)
    assert "Vault at 127.0.0.1 (transit/keys/release, version 1)" in json.dumps(checked.document)
