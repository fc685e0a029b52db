"""A module signed by OpenBao is the one that a key from a file gives; its token is not seen."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.compare_modules import read_by_java
from tests.support.builds import gradle_wrapper
from tests.support.cli import MODULE, CliWorkspace
from tests.support.identities import pem_files, rsa_key, self_signed
from tests.support.key_service import pem
from tests.support.key_services import SERVICES, open_double
from tests.support.modules import build_module
from tests.support.runner import ROOT
from tests.support.servers.openbao import (
    ROOT_TOKEN,
    OpenBao,
    id_token,
    recording,
    running_openbao,
)
from tests.support.serving import serving
from tests.support.signing import verified_by_openssl

FILES = 300
URI = "vault:transit/keys/release"


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        server.import_key("release", rsa_key("vault"))
        yield server


@pytest.mark.long
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


@pytest.mark.parametrize("kind", SERVICES)
def test_a_module_has_the_same_bytes_wherever_its_key_is(
    workspace: CliWorkspace, kind: str, tmp_path: Path
) -> None:
    key, _ = pem_files(workspace.folder, rsa_key("service"), (self_signed("service")[1],))
    given = ("--cert-path", "signing.cert.pem", "--key")
    with serving(open_double(kind, tmp_path)) as service:
        sign = ("sign", MODULE, *given, service.uri)
        workspace.call(*sign, "-o", "a", env=service.env).must(0)
        checked = workspace.call("validate-env", "--signing", *given, service.uri, env=service.env)
        assert "signatures per second" in checked.must(0).stdout
        service.signs_with = rsa_key("another")
        result = workspace.call(*sign, "-o", "b", "--verbose", env=service.env).must(4)
    assert "a signature that the certificate's key didn't make" in result.stderr
    assert not list(workspace.folder.glob("b/*"))
    assert all(each not in result.stdout + result.stderr for each in service.secrets)
    workspace.call("sign", MODULE, "-o", "c", *given, key).must(0)
    made, wanted = (workspace.folder / each / "pump.modl" for each in "ac")
    assert made.read_bytes() == wanted.read_bytes()


@pytest.mark.long
def test_the_guide_leads_from_nothing_to_a_signed_module(
    workspace: CliWorkspace, bao: OpenBao
) -> None:
    guide = (ROOT / "docs" / "keys-in-services.md").read_text()
    sign, certify = re.findall(r"```sh\n(.*?)```", guide.partition("\n## ")[0], re.DOTALL)
    section = guide.partition("## Vault and OpenBao")[2].partition("\n## ")[0]
    make_key, roles = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    # Keys of the issuer in place of its address, which can't be reached.
    (workspace.folder / "issuer.pem").write_text(pem(rsa_key("issuer").public_key()))
    issuer = r"oidc_discovery_url=.*\\\n.*"
    roles, count = re.subn(issuer, "jwt_validation_pubkeys=@issuer.pem", roles)
    assert count == 1
    job = id_token(bao.url, repository="example/pump", ref="refs/heads/main")
    steps = [
        'vault() { bao "$@"; }\n',
        make_key.replace("vault secrets enable transit\n", ""),
        certify,
        roles,
        "unset BAO_TOKEN MODULE_SIGNING_KEY\n",
        f"export VAULT_AUTH_ROLE=ign-deploy VAULT_ID_TOKEN={job}\n",
        sign,
    ]
    # The server of these tests has a key "release" of its own.
    program = "".join(steps).replace("release", "guide")
    program = program.replace("https://vault.example:8200", bao.url)
    (workspace.folder / "signing.cert.pem").unlink()
    (workspace.folder / "build").mkdir()
    (workspace.folder / MODULE).rename(workspace.folder / "build/Pump.unsigned.modl")
    done = subprocess.run(
        ["bash", "-euc", program],
        cwd=workspace.folder,
        env={
            **workspace.environment,
            "PATH": f"{Path(sys.executable).parent}:{workspace.environment['PATH']}",
            "BAO_TOKEN": ROOT_TOKEN,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    workspace.call("verify", "dist/Pump.modl", "--trust-anchor", "signing.cert.pem").must(0)
