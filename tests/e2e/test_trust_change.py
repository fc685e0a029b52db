"""A change of signer, from the plan to the last gateway."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ign_deploy.deployment.gateway.module_file import read_module_file
from ign_deploy.module.certificates import describe
from tests.support.cli import WITH_RESTART, CliWorkspace, GatewayCli, open_gateway_cli
from tests.support.deployment_env import active, published_repository
from tests.support.gateway import Gateway, ModuleFault
from tests.support.gateway.client import MODULE_ID
from tests.support.identities import pem_certificates, pem_files, self_signed

KEY, CERTIFICATE = self_signed("New Vendor")
NEW = describe(CERTIFICATE)
OLD = describe(self_signed()[1])
RESIGNED = f"{MODULE_ID}@1.0.0.1"
ACCEPT = ("--accept-certificate", NEW.sha1, "--accept-license", "yes", "--restart", "if-needed")
CONFIG = """
[[gateways]]
name = "line-{number}"
url = "{url}"
environment = "plant"
"""
FOLDER = """
[[gateways]]
name = "folder"
url = "modules"
environment = "plant"
manifest = "modules.json"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_repository(tmp_path_factory.mktemp("repository"), "1.0.0")


@pytest.fixture
def cli(
    workspace: CliWorkspace, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[GatewayCli]:
    """A plant with three gateways and a folder, all with 1.0.0; the workspace has the new key."""
    (workspace.folder / "modules").mkdir()
    pem_files(workspace.folder, KEY, (CERTIFICATE,))
    with (
        open_gateway_cli(workspace, repository, monkeypatch=monkeypatch) as cli,
        cli.another_gateway() as second,
        cli.another_gateway() as third,
    ):
        urls = [cli.gateway.url, second.url, third.url]
        config = "".join(CONFIG.format(number=n, url=url) for n, url in enumerate(urls, start=1))
        cli.config(config + FOLDER)
        cli.call("install", f"{MODULE_ID}@1.0.0", "-e", "plant", *WITH_RESTART).must(0)
        yield cli


def gateways(cli: GatewayCli) -> list[Gateway]:
    return [cli.gateway, *cli.others.values()]


def resign(cli: GatewayCli) -> None:
    """Sign the published version with the new key, and publish that."""
    cli.call("download", f"{MODULE_ID}@1.0.0", "-o", "old").must(0)
    key = ("--key-path", "signing.key.pem", "--cert-path", "signing.cert.pem")
    cli.call("sign", f"old/{MODULE_ID}-1.0.0.modl", *key, "--resign", "1").must(0)
    cli.call("upload", f"dist/{MODULE_ID}-1.0.0.1.modl", "--resign", "1").must(0)


def plan(cli: GatewayCli, *options: str) -> dict[str, dict[str, Any]]:
    """Return what ``trust plan`` says of each gateway's module."""
    command = ("trust", "plan", "-e", "plant", "--cert-path", "signing.cert.pem", *options)
    document = cli.call(*command, "--json").must(0).document
    assert document["new_certificate"]["sha1"] == NEW.sha1
    return {each["gateway"]: each for each in document["modules"]}


def manifest(cli: GatewayCli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cli.workspace.folder / "modules.json").read_text("utf-8"))
    return found


def test_the_plan_shows_what_each_gateway_accepts_and_what_would_stop(cli: GatewayCli) -> None:
    found = plan(cli)
    assert list(found) == ["line-1", "line-2", "line-3", "folder"]
    assert {each["effect"] for each in found.values()} == {"would-stop"}
    assert {each["sha1"] for each in found.values()} == {OLD.sha1}
    assert {each["version"] for each in found.values()} == {"1.0.0"}
    sources = [each["source"] for each in found.values()]
    assert sources == ["record", "record", "record", "gateway"]
    shown = cli.call("trust", "plan", "-e", "plant", "--cert-path", "signing.cert.pem").must(0)
    assert f"with the certificate {NEW.sha1} (CN=New Vendor" in shown.stdout
    assert "4 would stop, 0 accept it" in shown.stdout
    assert f"trust change MODULE@VERSION --accept-certificate {NEW.sha1}" in shown.stdout


def test_a_gateway_that_cannot_be_asked_has_the_module_of_the_history(cli: GatewayCli) -> None:
    cli.gateway.options.never_back = "down"
    cli.gateway.state.restart()
    found = plan(cli)["line-1"]
    assert (found["source"], found["effect"], found["sha1"]) == ("history", "would-stop", OLD.sha1)
    assert found["remark"].startswith("not asked: ")


def test_a_plan_needs_a_certificate_but_no_key(cli: GatewayCli) -> None:
    refused = cli.call("trust", "plan", "-e", "plant").must(4)
    assert "no new certificate given" in refused.stderr
    assert "give it as --cert-path; its key isn't needed" in refused.stderr


def test_the_same_certificate_stops_nothing(cli: GatewayCli) -> None:
    (cli.workspace.folder / "signing.cert.pem").write_bytes(pem_certificates(self_signed()[1]))
    command = ("trust", "plan", "-e", "plant", "--cert-path", "signing.cert.pem", "--json")
    document = cli.call(*command).must(0).document
    assert document["result"] == "accepted"


def test_a_whole_change_of_signer(cli: GatewayCli) -> None:
    """The second gateway is cut off in the middle; the same command completes the change."""
    resign(cli)
    first, lost, rest = gateways(cli)
    lost.options.never_back = "down"
    cut = cli.call("trust", "change", RESIGNED, "-e", "plant", *ACCEPT)
    assert cut.exit_code in (7, 8), cut.stderr
    assert f"{MODULE_ID} 1.0.0.1 is re-signed from 1.0.0, with the same content" in cut.stderr
    assert "wave 1: line-1" in cut.stderr
    assert active(first) == "1.0.0.1"
    assert rest.asked("modules/upload") == 1, "the third gateway was left alone"
    assert manifest(cli)[MODULE_ID]["certFingerprint"] == OLD.sha1
    (back,) = [line for line in cut.stderr.splitlines() if "ign-deploy rollback" in line]
    assert "--accept-certificate" not in back, "what comes back has the old certificate"

    lost.options.never_back = ""
    lost.state.come_back()
    again = cli.call("trust", "change", RESIGNED, "-e", "plant", *ACCEPT, "--wave-size", "4").must(
        0
    )
    assert "wave 1: line-1\n" in again.stderr, "the first gateway always goes alone"
    assert [active(each) for each in gateways(cli)] == ["1.0.0.1"] * 3
    assert manifest(cli)[MODULE_ID]["certFingerprint"] == NEW.sha1
    found = plan(cli)
    assert {each["effect"] for each in found.values()} == {"accepted"}


def test_what_ran_before_comes_back_with_its_old_certificate(cli: GatewayCli) -> None:
    """One gateway fails: all of them get the old file and its signer back."""
    resign(cli)
    third = gateways(cli)[2]
    third.options.faults[MODULE_ID] = ModuleFault(cause="Startup failed", version="1.0.0.1")
    options = ("--all-or-nothing", "--wave-size", "4")
    failed = cli.call("trust", "change", RESIGNED, "-e", "plant", *ACCEPT, *options).must(7)
    assert "Startup failed" in failed.stderr
    assert [active(each) for each in gateways(cli)] == ["1.0.0"] * 3
    assert manifest(cli)[MODULE_ID]["certFingerprint"] == OLD.sha1
    (file,) = (cli.workspace.folder / "modules").glob("*.modl")
    assert read_module_file(file).version == "1.0.0"


def test_only_named_certificates_are_accepted(cli: GatewayCli) -> None:
    resign(cli)
    for options in ((), ("--accept-certificate", "yes")):
        refused = cli.call("trust", "change", RESIGNED, "-e", "plant", *options).must(2)
        assert "a change of signer accepts named certificates only" in refused.stderr
    other = cli.call(
        "trust", "change", RESIGNED, "-e", "plant", "--accept-certificate", OLD.sha1
    ).must(2)
    assert "is signed by another certificate" in other.stderr
    assert [active(each) for each in gateways(cli)] == ["1.0.0"] * 3


def test_a_version_that_was_not_signed_again_is_warned_of(cli: GatewayCli) -> None:
    accept = ("--accept-certificate", OLD.sha1)
    done = cli.call("trust", "change", f"{MODULE_ID}@1.0.0", "-e", "plant", *accept).must(0)
    assert "isn't published as re-signed: not only the signer changes" in done.stderr


def test_another_file_with_the_version_of_a_resigned_one_is_warned_of(cli: GatewayCli) -> None:
    resign(cli)
    path = cli.workspace.folder / f"dist/{MODULE_ID}-1.0.0.1.modl"
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    other = cli.workspace.folder / "other.modl"
    with zipfile.ZipFile(other, "w") as archive:
        for name, data in {**content, "doc/more.html": b"more"}.items():
            archive.writestr(name, data)
    key = ("--key-path", "signing.key.pem", "--cert-path", "signing.cert.pem")
    cli.call("sign", "other.modl", *key, "-o", "other").must(0)
    shown = cli.call("trust", "change", "other/other.modl", *ACCEPT, "--render").must(0)
    assert "isn't published as re-signed: not only the signer changes" in shown.stderr
    assert "with the same content" not in shown.stderr


def test_containers_get_the_entries_and_the_variables(cli: GatewayCli) -> None:
    resign(cli)
    before = [each.asked("modules/upload") for each in gateways(cli)]
    command = ("trust", "change", RESIGNED, *ACCEPT, "--render")
    shown = cli.call(*command).must(0)
    assert f"ACCEPT_MODULE_CERTS={MODULE_ID}\n" in shown.stdout
    assert "count only when a volume is first commissioned" in shown.stderr
    document = cli.call(*command, "--json").must(0).document
    assert document["modules_json"][MODULE_ID] | {"licenseAgreementHash": 0} == {
        "filename": f"{MODULE_ID}.modl",
        "onStartup": "enabled",
        "certFingerprint": NEW.sha1,
        "licenseAgreementHash": 0,
    }
    assert document["variables"]["ACCEPT_MODULE_LICENSES"] == MODULE_ID
    assert [each.asked("modules/upload") for each in gateways(cli)] == before
    refused = cli.call("trust", "change", RESIGNED, *ACCEPT[:2], "--render").must(7)
    assert "requires you to accept the licence" in refused.stderr


def test_common_options_before_a_command_of_two_words_and_help(cli: GatewayCli) -> None:
    before = cli.call("--json", "trust", "plan", "-e", "plant", "--cert-path", "signing.cert.pem")
    assert before.must(0).document["result"] == "would-stop"
    shown = cli.call("help", "trust", "change").must(0).stdout
    assert shown == cli.call("trust", "change", "--help").must(0).stdout
    assert (
        "Did you mean 'trust plan' or 'trust statement' or 'trust change'?"
        in cli.call("trust").must(2).stderr
    )


def test_the_action_takes_a_command_of_two_words(cli: GatewayCli) -> None:
    for name in ("output", "summary"):
        (cli.workspace.folder / name).touch()
    inputs = {
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(cli.workspace.folder / "output"),
        "GITHUB_STEP_SUMMARY": str(cli.workspace.folder / "summary"),
        "INPUT_COMMAND": "trust plan",
        "INPUT_ENVIRONMENT": "plant",
        "INPUT_CERT-PATH": "signing.cert.pem",
    }
    assert "4 would stop, 0 accept it" in cli.call(**inputs).must(0).stdout
