"""Certificates and keystores between ign-deploy, OpenSSL and Java, in both directions."""

from __future__ import annotations

import datetime as dt
import hashlib
import subprocess
from pathlib import Path

import pytest

from ign_deploy.errors import IdentityError
from ign_deploy.module.certificates import (
    chain_problems,
    describe,
    read_certificates,
    write_certificates,
)
from ign_deploy.report import SilentReporter
from ign_deploy.signing.generate import GeneratedCertificate, generate_certificate
from ign_deploy.signing.identity import IdentityMaterial, load_identity
from tests.support.identities import chain, pem_certificates, pem_files, self_signed

QUICK = "-J-XX:TieredStopAtLevel=1"  # a third less processor time
SUBJECTS = ["CN=Test Leaf", "CN=Test Intermediate", "CN=Test Root"]
READ_CERTIFICATES = """
import java.io.FileInputStream;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;

class Read {
    public static void main(String[] args) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        try (FileInputStream stream = new FileInputStream(args[0])) {
            for (Certificate each : factory.generateCertificates(stream)) {
                System.out.println(((X509Certificate) each).getSubjectX500Principal());
            }
        }
    }
}
"""

# Prints whether Java finds the path of the first certificate, and whether it accepts all as a path.
FIND_PATH = """
import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

class Find {
    public static void main(String[] args) throws Exception {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        List<X509Certificate> all = new ArrayList<>();
        for (Certificate each : factory.generateCertificates(new FileInputStream(args[0]))) {
            all.add((X509Certificate) each);
        }
        X509Certificate root = (X509Certificate)
            factory.generateCertificate(new FileInputStream(args[1]));
        Set<TrustAnchor> anchors = Set.of(new TrustAnchor(root, null));
        System.out.println(accepts(() -> {
            X509CertSelector signer = new X509CertSelector();
            signer.setCertificate(all.get(0));
            PKIXBuilderParameters found = new PKIXBuilderParameters(anchors, signer);
            found.setRevocationEnabled(false);
            found.addCertStore(CertStore.getInstance(
                "Collection", new CollectionCertStoreParameters(all)));
            CertPathBuilder.getInstance("PKIX").build(found);
        }) + " " + accepts(() -> {
            List<X509Certificate> path = new ArrayList<>(all);
            path.remove(root);
            PKIXParameters given = new PKIXParameters(anchors);
            given.setRevocationEnabled(false);
            CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(path), given);
        }));
    }

    interface Check { void run() throws Exception; }

    static boolean accepts(Check check) throws Exception {
        try {
            check.run();
            return true;
        } catch (CertPathBuilderException | CertPathValidatorException refused) {
            return false;
        }
    }
}
"""


def run(*command: object) -> str:
    """Run a program; return what it wrote to stdout."""
    result = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, timeout=120, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def genkeypair(store: Path, *options: str, alias: str = "signer", dname: str = "") -> None:
    run(
        *("keytool", QUICK, "-genkeypair", "-keystore", store, "-alias", alias),
        *("-dname", dname or f"CN={alias}"),
        *("-storepass", "changeit", *(options or ("-keyalg", "RSA", "-keysize", "2048"))),
    )


def refused(**material: str) -> IdentityError:
    with pytest.raises(IdentityError) as caught:
        load_identity(IdentityMaterial(**material))
    return caught.value


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> GeneratedCertificate:
    return generate_certificate(
        common_name="Example Ltd",
        organization="Example",
        days=30,
        key_size=3072,
        now=dt.datetime.now(dt.UTC),
        password="changeit",
        folder=tmp_path_factory.mktemp("generated"),
        container="pkcs12",
    )


def test_openssl_reads_our_certificates_leaf_first(tmp_path: Path) -> None:
    path = tmp_path / "certificates.p7b"
    path.write_bytes(write_certificates(chain()[1]))
    printed = run("openssl", "pkcs7", "-inform", "DER", "-in", path, "-print_certs", "-noout")
    subjects = [line for line in printed.splitlines() if line.startswith("subject")]
    assert [line.partition("CN")[2].strip(" =") for line in subjects] == [
        subject.removeprefix("CN=") for subject in SUBJECTS
    ]


def test_java_reads_our_certificates_leaf_first(tmp_path: Path) -> None:
    path, source = tmp_path / "certificates.p7b", tmp_path / "Read.java"
    path.write_bytes(write_certificates(chain()[1]))
    source.write_text(READ_CERTIFICATES)
    assert run("java", QUICK.removeprefix("-J"), source, path).splitlines() == SUBJECTS


@pytest.mark.parametrize(
    ("order", "accepted", "codes"),
    [
        ((0, 1, 2), "true true", []),
        ((0, 1, 2, 3), "true false", ["chain-foreign"]),
        ((0, 3, 1, 2), "true false", ["chain-order", "chain-foreign"]),
        ((0, 2, 1), "true true", ["chain-order"]),
    ],
    ids=["sound", "after", "within", "order"],
)
def test_what_java_thinks_of_other_certificates(
    tmp_path: Path, order: tuple[int, ...], accepted: str, codes: list[str]
) -> None:
    """Decision 0020 is about these facts. The root is given apart, so its place doesn't matter."""
    given = (*chain()[1], self_signed("Stranger")[1])
    chosen = tuple(given[each] for each in order)
    source, path, root = (tmp_path / name for name in ("Find.java", "certificates.p7b", "root"))
    source.write_text(FIND_PATH)
    path.write_bytes(write_certificates(chosen))
    root.write_bytes(pem_certificates(given[2]))
    printed = run("java", QUICK.removeprefix("-J"), source, path, root)
    assert printed.strip() == accepted
    assert [finding.code for finding in chain_problems(chosen)] == codes


@pytest.mark.parametrize("form", ["DER", "PEM"])
def test_certificates_of_openssl_are_read(tmp_path: Path, form: str) -> None:
    (tmp_path / "chain.pem").write_bytes(pem_certificates(*chain()[1]))
    run(
        *("openssl", "crl2pkcs7", "-nocrl", "-certfile", tmp_path / "chain.pem"),
        *("-outform", form, "-out", tmp_path / "chain.p7b"),
    )
    assert read_certificates((tmp_path / "chain.p7b").read_bytes()) == chain()[1]


def test_certificates_in_a_signature_of_openssl_are_read(tmp_path: Path) -> None:
    key, certificates = chain()
    key_path, certificate_path = pem_files(tmp_path, key, certificates[:1])
    issuers = tmp_path / "issuers.pem"
    issuers.write_bytes(pem_certificates(*certificates[1:]))
    for name, options in (("der", ["-outform", "DER"]), ("ber", ["-outform", "DER", "-stream"])):
        run(
            *("openssl", "cms", "-sign", "-in", key_path, "-nodetach", "-binary"),
            *("-signer", certificate_path, "-inkey", key_path, "-certfile", issuers),
            *(*options, "-out", tmp_path / name),
        )
        assert set(read_certificates((tmp_path / name).read_bytes())) == set(certificates)


def test_a_jks_of_keytool_with_a_key_password_of_its_own(tmp_path: Path) -> None:
    store = tmp_path / "store.jks"
    rsa = ("-keyalg", "RSA", "-keysize", "2048", "-storetype", "JKS", "-keypass")
    genkeypair(store, *rsa, "changeit", alias="first")
    genkeypair(store, *rsa, "keypw12", alias="second")
    opened = {"keystore": str(store), "store_password": "changeit"}
    first = load_identity(IdentityMaterial(**opened, alias="First"))
    second = load_identity(IdentityMaterial(**opened, key_password="keypw12", alias="SECOND"))
    assert [describe(each.leaf).subject for each in (first, second)] == ["CN=first", "CN=second"]
    assert "key's password is wrong" in refused(**opened, alias="second").message
    assert "2 keys, but no alias was given" in refused(**opened).message
    assert "store" in refused(keystore=str(store), store_password="wrong", alias="first").message


def test_a_pkcs12_of_keytool_with_several_keys(tmp_path: Path) -> None:
    store = tmp_path / "store.jks"  # the extension is wrong on purpose: Java's default since 9
    genkeypair(store, alias="first")
    genkeypair(store, alias="second")
    opened = {"keystore": str(store), "store_password": "changeit"}
    for alias in ("first", "second"):
        identity = load_identity(IdentityMaterial(**opened, alias=alias))
        assert describe(identity.leaf).subject == f"CN={alias}"
    assert "2 keys, but no alias was given" in refused(**opened).message


def test_a_country_of_three_letters_is_accepted(tmp_path: Path) -> None:
    genkeypair(tmp_path / "store.p12", dname="CN=Vendor, C=USA")
    store = str(tmp_path / "store.p12")
    identity = load_identity(IdentityMaterial(keystore=store, store_password="changeit"))
    assert describe(identity.leaf).subject == "CN=Vendor,C=USA"
    assert chain_problems(identity.chain) == []
    assert chain_problems((identity.leaf, *chain()[1]))


def test_an_ec_key_and_a_jceks_of_keytool_are_rejected(tmp_path: Path) -> None:
    genkeypair(tmp_path / "ec.p12", "-keyalg", "EC")
    genkeypair(tmp_path / "store.jceks", "-keyalg", "RSA", "-storetype", "JCEKS")
    ec = refused(keystore=str(tmp_path / "ec.p12"), store_password="changeit")
    jceks = refused(keystore=str(tmp_path / "store.jceks"), store_password="changeit")
    assert "not RSA" in ec.message
    assert "JCEKS" in jceks.message


def test_the_conversion_that_the_jceks_hint_names_works(tmp_path: Path) -> None:
    genkeypair(tmp_path / "store.jceks", "-keyalg", "RSA", "-storetype", "JCEKS")
    run(
        *("keytool", QUICK, "-importkeystore", "-srckeystore", tmp_path / "store.jceks"),
        *("-srcstoretype", "jceks", "-srcstorepass", "changeit", "-deststoretype", "pkcs12"),
        *("-destkeystore", tmp_path / "signing.p12", "-deststorepass", "changeit"),
    )
    store = str(tmp_path / "signing.p12")
    assert load_identity(IdentityMaterial(keystore=store, store_password="changeit")).chain


@pytest.mark.parametrize("options", [[], ["-legacy"], ["-aes256", "-iter", "5000"]], ids=str)
def test_a_pkcs12_of_openssl_with_its_chain(tmp_path: Path, options: list[str]) -> None:
    key, certificates = chain()
    key_path, certificate_path = pem_files(tmp_path, key, certificates)
    run(
        *("openssl", "pkcs12", "-export", "-inkey", key_path, "-in", certificate_path, *options),
        *("-name", "signer", "-passout", "pass:changeit", "-out", tmp_path / "store.p12"),
    )
    material = IdentityMaterial(
        keystore=str(tmp_path / "store.p12"), store_password="changeit", alias="signer"
    )
    assert load_identity(material).chain == certificates


@pytest.mark.parametrize(
    "command",
    [
        ["pkcs8", "-topk8", "-passout", "pass:secret"],
        ["pkcs8", "-topk8", "-passout", "pass:secret", "-scrypt"],
        ["pkcs8", "-topk8", "-passout", "pass:secret", "-v1", "PBE-SHA1-3DES"],
        ["rsa", "-traditional", "-aes256", "-passout", "pass:secret"],
        ["rsa", "-traditional", "-des3", "-passout", "pass:secret"],
    ],
    ids=" ".join,
)
def test_encrypted_pem_keys_of_openssl(tmp_path: Path, command: list[str]) -> None:
    key, certificate = self_signed()
    key_path, certificate_path = pem_files(tmp_path, key, (certificate,))
    run("openssl", *command, "-in", key_path, "-out", tmp_path / "locked.pem")
    given = {"key": str(tmp_path / "locked.pem"), "certificates": str(certificate_path)}
    assert load_identity(IdentityMaterial(**given, key_password="secret")).leaf == certificate
    assert "password is wrong" in refused(**given, key_password="wrong").message


def test_openssl_verifies_our_signature(tmp_path: Path) -> None:
    key, certificate = self_signed()
    key_path, certificate_path = pem_files(tmp_path, key, (certificate,))
    material = IdentityMaterial(key=str(key_path), certificates=str(certificate_path))
    content, signature = tmp_path / "content", tmp_path / "signature"
    content.write_bytes(b"content")
    digest = hashlib.sha256(b"content").digest()
    signed = load_identity(material).sign_digests([digest], reporter=SilentReporter())
    signature.write_bytes(signed[digest])
    public_key = tmp_path / "public.pem"
    public_key.write_text(run("openssl", "x509", "-in", certificate_path, "-noout", "-pubkey"))
    printed = run(
        *("openssl", "dgst", "-sha256", "-verify", public_key, "-signature", signature, content)
    )
    assert "Verified OK" in printed


def test_keytool_reads_our_pkcs12_under_its_alias(generated: GeneratedCertificate) -> None:
    printed = run(
        "keytool", QUICK, "-list", "-v", "-keystore", generated.key, "-storepass", "changeit"
    )
    assert "Alias name: signer" in printed
    assert "PrivateKeyEntry" in printed
    assert "codeSigning" in printed
    sha1 = generated.info.sha1.upper()
    assert ":".join(sha1[at : at + 2] for at in range(0, 40, 2)) in printed


def test_java_uses_the_key_of_our_pkcs12(tmp_path: Path, generated: GeneratedCertificate) -> None:
    request = tmp_path / "request.csr"
    run(
        *("keytool", QUICK, "-certreq", "-keystore", generated.key, "-storepass", "changeit"),
        *("-alias", "signer", "-file", request),
    )
    run("openssl", "req", "-in", request, "-noout", "-verify")


def test_openssl_reads_our_pkcs12(generated: GeneratedCertificate) -> None:
    printed = run(
        *("openssl", "pkcs12", "-in", generated.key, "-passin", "pass:changeit", "-nodes")
    )
    assert "friendlyName: signer" in printed
    assert "BEGIN PRIVATE KEY" in printed
