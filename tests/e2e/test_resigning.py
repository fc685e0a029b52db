"""A published version that is signed again with another certificate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.cli import KEY, MODULE, CliWorkspace, Result
from tests.support.identities import pem_files, self_signed
from tests.support.modules import build_module
from tests.support.releases import tree
from tests.support.repacked import rebuild
from tests.support.signing import content

ID = "com.example.pump"
PUBLISHED = f"{ID}-1.2.3.modl"


@pytest.fixture
def published(workspace: CliWorkspace) -> CliWorkspace:
    """A workspace whose module is published, and whose key is then another one."""
    workspace.release().must(0)
    key, certificate = self_signed("New Vendor")
    pem_files(workspace.folder, key, (certificate,))
    return workspace


def record(workspace: CliWorkspace, version: str) -> dict[str, Any]:
    path = workspace.repository / "modules" / ID / version / "release.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_another_certificate_is_a_conflict_that_says_the_way(published: CliWorkspace) -> None:
    refused = published.release().must(6)
    assert "is signed with another certificate" in refused.stderr
    assert "add --resign 1" in refused.stderr


def test_the_published_file_is_signed_again_and_its_record_says_so(
    published: CliWorkspace,
) -> None:
    published.call("download", f"{ID}@1.2.3", "-o", "old").must(0)
    signed = published.call("sign", f"old/{PUBLISHED}", *KEY, "--resign", "1", "--json").must(0)
    (module,) = signed.document["modules"]
    assert (module["version"], module["file"]) == ("1.2.3.1", f"dist/{ID}-1.2.3.1.modl")
    done = published.call("upload", module["file"], "--resign", "1").must(0)
    assert f"{ID} 1.2.3.1 is re-signed from 1.2.3: same content" in done.stderr
    assert "manifest-version" not in done.stderr, "the jars keep the version they were built with"
    old, new = record(published, "1.2.3"), record(published, "1.2.3.1")
    assert (old["resigned_from"], new["resigned_from"]) == (None, "1.2.3")
    assert old["certificate"] != new["certificate"]
    before = content(published.folder / "old" / PUBLISHED)
    after = content(published.folder / module["file"])
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"module.xml", "signatures.properties", "certificates.p7b"}
    assert after["module.xml"] == before["module.xml"].replace(b">1.2.3<", b">1.2.3.1<")


def test_a_release_does_it_in_one_step_and_again(published: CliWorkspace) -> None:
    rebuild(published.folder / MODULE)
    first = published.release("--resign", "1", "--require-unpublished", "--json").must(0).document
    assert first["result"] == "uploaded"
    assert [each["version"] for each in first["modules"]] == ["1.2.3.1"]
    before = tree(published.repository)
    assert published.release("--resign", "1", "--json").must(0).document["result"] == "unchanged"
    assert tree(published.repository) == before
    published.release("--resign", "1", "--require-unpublished").must(6)
    key, certificate = self_signed("Third Vendor")
    pem_files(published.folder, key, (certificate,))
    published.release("--resign", "2").must(0)
    assert record(published, "1.2.3.2")["resigned_from"] == "1.2.3.1"


def test_the_anchor_of_the_new_signer_is_enough(published: CliWorkspace) -> None:
    published.release("--resign", "1", "--trust-anchor", "signing.cert.pem").must(0)
    assert record(published, "1.2.3.1")["resigned_from"] == "1.2.3"


def resign(workspace: CliWorkspace, *options: str) -> Result:
    before = tree(workspace.repository)
    refused = workspace.release("--resign", "1", *options)
    assert tree(workspace.repository) == before
    return refused


def test_other_content_is_refused(published: CliWorkspace) -> None:
    rebuild(published.folder / MODULE, files={"doc/index.html": b"<p>"})
    refused = resign(published).must(6)
    assert f"{ID} 1.2.3.1 doesn't have the content of 1.2.3" in refused.stderr
    assert "what differs: 'doc/index.html'" in refused.stderr


def test_a_module_xml_with_another_change_is_refused(published: CliWorkspace) -> None:
    build_module(published.folder / MODULE, texts={"freeModule": "false"})
    assert "what differs: 'module.xml'" in resign(published).must(6).stderr


def test_the_same_certificate_is_refused(workspace: CliWorkspace) -> None:
    workspace.release().must(0)
    assert "has the same certificate as 1.2.3" in resign(workspace).must(6).stderr


def test_a_version_that_is_not_published_is_refused(workspace: CliWorkspace) -> None:
    workspace.release().must(0)
    build_module(workspace.folder / MODULE, texts={"version": "1.2.4"})
    refused = resign(workspace).must(6)
    assert "no version of it with a lower build number" in refused.stderr


def test_a_file_with_another_build_number_is_refused(published: CliWorkspace) -> None:
    published.call("sign", MODULE, *KEY, "-o", "signed").must(0)
    refused = published.call("upload", "signed/pump.modl", "--resign", "1").must(2)
    assert "--resign 1 was given, but pump.modl has the version 1.2.3" in refused.stderr


def test_a_build_number_that_is_not_higher_is_refused(published: CliWorkspace) -> None:
    build_module(published.folder / MODULE, texts={"version": "1.2.3.4"})
    refused = published.call("sign", MODULE, *KEY, "--resign", "4").must(4)
    assert "must be higher than 4" in refused.stderr


def test_a_dry_run_compares_too(published: CliWorkspace) -> None:
    published.call("sign", MODULE, *KEY, "--resign", "1", "-o", "signed").must(0)
    file = "signed/pump-1.2.3.1.modl"
    done = published.call("upload", file, "--resign", "1", "--dry-run", "--json").must(0)
    assert done.document["release"]["resigned_from"] == "1.2.3"
    assert not (published.repository / "modules" / ID / "1.2.3.1").exists()


OLD_KEY = ("--old-key", "old.key.pem", "--old-cert", "old.cert.pem")
FOLLOW = ("--trust-anchor", "old.cert.pem", "--follow-succession")


@pytest.fixture
def succeeded(workspace: CliWorkspace) -> CliWorkspace:
    """A workspace with a module signed by the new key; the old one is kept beside it."""
    for kind in ("key", "cert"):
        (workspace.folder / f"signing.{kind}.pem").rename(workspace.folder / f"old.{kind}.pem")
    key, certificate = self_signed("New Vendor")
    pem_files(workspace.folder, key, (certificate,))
    workspace.signed()
    return workspace


def test_a_statement_leads_a_verifier_to_the_new_signer(succeeded: CliWorkspace) -> None:
    verify = ("verify", "signed/pump.modl", *FOLLOW)
    assert "no valid statement leads" in succeeded.call(*verify).must(5).stderr
    made = succeeded.call("trust", "statement", ID, *OLD_KEY, *KEY, "--json").must(0).document
    assert (succeeded.repository / made["path"]).is_file()
    assert made["modules"] == [ID]
    done = succeeded.call(*verify, "--json").must(0).document
    (module,) = done["modules"]
    assert done["result"] == "trusted"
    assert [each["new_sha256"] for each in module["succession"]] == [made["new_sha256"]]
    shown = succeeded.call(*verify).must(0).stdout
    assert "(trusted: old.cert.pem, succeeded by a statement of " in shown
    unasked = succeeded.call("verify", "signed/pump.modl", "--trust-anchor", "old.cert.pem")
    assert "UNTRUSTED SIGNER" in unasked.must(5).stdout


def test_a_statement_for_another_module_or_one_that_was_changed_is_not_followed(
    succeeded: CliWorkspace,
) -> None:
    verify = ("verify", "signed/pump.modl", *FOLLOW)
    succeeded.call("trust", "statement", "com.example.valve", *OLD_KEY, *KEY).must(0)
    succeeded.call(*verify).must(5)
    made = succeeded.call("trust", "statement", ID, *OLD_KEY, *KEY, "--json").must(0).document
    path = succeeded.repository / made["path"]
    path.write_text(path.read_text("utf-8").replace('"sig": "', '"sig": "AAAA', 1), "utf-8")
    refused = succeeded.call(*verify).must(5)
    assert f"statement '{path.name}' is skipped" in refused.stderr


def test_a_dry_run_publishes_no_statement_and_following_needs_an_anchor(
    succeeded: CliWorkspace,
) -> None:
    dry = succeeded.call("trust", "statement", ID, *OLD_KEY, *KEY, "--dry-run", "--json").must(0)
    assert dry.document["result"] == "dry-run"
    assert not succeeded.repository.exists()
    refused = succeeded.call("verify", "signed/pump.modl", "--follow-succession").must(2)
    assert "without a trust anchor" in refused.stderr
    missing = succeeded.call("trust", "statement", ID, *KEY).must(4)
    assert "no old signing key given" in missing.stderr
