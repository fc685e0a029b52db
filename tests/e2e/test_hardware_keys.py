"""A module signed in SoftHSM is the one that a key from a file gives; the PIN stays where it is."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.interop.compare_modules import read_by_java
from tests.support.builds import gradle_wrapper
from tests.support.cli import CliWorkspace, Result
from tests.support.identities import pem_files, rsa_key, self_signed
from tests.support.modules import build_module
from tests.support.runner import ROOT
from tests.support.signing import content, verified_by_openssl
from tests.support.softhsm import PIN, Spy, softhsm

FILES = 300


@pytest.fixture
def environment() -> dict[str, str]:
    return {**softhsm().environment, "MODULE_SIGNING_PIN": PIN}


def large_module(folder: Path) -> Path:
    files: dict[str, bytes | None] = {f"doc/{each}.html": b"%d" % each for each in range(FILES)}
    return build_module(folder / "large.unsigned.modl", files=files)


def assert_no_pin(result: Result) -> None:
    assert PIN not in result.stdout + result.stderr
    assert base64.b64encode(PIN.encode()).decode() not in result.stdout + result.stderr


def test_the_module_has_the_same_bytes_and_openssl_and_java_verify_it(
    workspace: CliWorkspace, environment: dict[str, str]
) -> None:
    module = large_module(workspace.folder)
    spy = Spy(workspace.folder / "trace")
    arguments = ("sign", module, "-o", "token", "--verbose", "--key")
    env = {**environment, **spy.environment}
    uri = softhsm().uri(library=spy.library)
    assert_no_pin(workspace.run(*arguments, uri, env=env).must(0))
    counts = {each: spy.count(each) for each in ("C_OpenSession", "C_Login", "C_SignInit")}
    entries = len(content(module))
    assert counts == {"C_OpenSession": 1, "C_Login": 1, "C_SignInit": entries}
    pem_files(workspace.folder, rsa_key("signer"), (self_signed("signer")[1],))
    files = ("--key", "signing.key.pem", "--cert-path", "signing.cert.pem")
    workspace.call("sign", module, "-o", "file", *files).must(0)
    signed = workspace.folder / "token" / "large.modl"
    assert signed.read_bytes() == (workspace.folder / "file" / "large.modl").read_bytes()

    (java,) = read_by_java([signed])
    assert java.signature == "intact"
    leaf = workspace.folder / "signing.cert.pem"
    assert verified_by_openssl(signed, "doc/7.html", certificate=leaf)


def test_a_build_sees_neither_the_pin_nor_the_key(
    workspace: CliWorkspace, environment: dict[str, str]
) -> None:
    made = build_module(workspace.folder / "made.modl")
    gradle_wrapper(
        workspace.folder / "project",
        "mkdir -p build",
        "env >build/seen; cat /proc/self/cmdline /proc/$PPID/cmdline >>build/seen",
        f"cp {made} build/Pump.modl",
    )
    key = {"MODULE_SIGNING_KEY": softhsm().uri()}
    result = workspace.run("module", "project", "--verbose", env={**environment, **key}).must(0)
    assert_no_pin(result)
    seen = (workspace.folder / "project" / "build" / "seen").read_text()
    assert "PATH=" in seen
    for hidden in (PIN, "SIGNING", "SOFTHSM2_CONF", "pkcs11:"):
        assert hidden not in seen


def test_a_batch_tries_a_wrong_pin_once(
    workspace: CliWorkspace, environment: dict[str, str], tmp_path: Path
) -> None:
    paths = [build_module(workspace.folder / f"{name}.unsigned.modl") for name in ("a", "b", "c")]
    spy = Spy(tmp_path / "trace")
    uri = softhsm().uri(token="Guarded", library=spy.library)
    env = {**environment, **spy.environment, "MODULE_SIGNING_PIN": "00000000"}
    result = workspace.run("batch", *paths, "--key", uri, "--continue-on-error", env=env)
    assert result.exit_code in {2, 4}
    assert "the PIN of the token 'Guarded' is wrong" in result.stderr
    assert spy.count("C_Login") == 1
    assert list(workspace.folder.rglob("[abc].modl")) == []


def test_the_guide_leads_from_nothing_to_a_signed_module(workspace: CliWorkspace) -> None:
    guide = (ROOT / "docs" / "keys-in-hardware.md").read_text()
    steps = guide.partition("### With SoftHSM")[2].partition("### With a YubiKey")[0]
    blocks = re.findall(r"```sh\n(.*?)```", steps, re.DOTALL)
    commands = "".join(blocks).replace("sudo apt-get", "# apt-get")
    (workspace.folder / "signing.cert.pem").unlink()
    (workspace.folder / "tokens").mkdir()
    (workspace.folder / "conf").write_text(
        f"directories.tokendir = {workspace.folder / 'tokens'}\n"
    )
    (workspace.folder / "build").mkdir()
    (workspace.folder / "pump.unsigned.modl").rename(workspace.folder / "build/Pump.unsigned.modl")
    environment = {
        **workspace.environment,
        "PATH": f"{Path(sys.executable).parent}:{workspace.environment['PATH']}",
        "SOFTHSM2_CONF": str(workspace.folder / "conf"),
    }
    done = subprocess.run(
        ["bash", "-euc", commands],
        cwd=workspace.folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "signatures per second" in done.stdout
    assert (workspace.folder / "signing.csr.pem").exists()
    trusted = ("--trust-anchor", "signing.cert.pem")
    workspace.call("verify", "dist/Pump.modl", *trusted).must(0)
