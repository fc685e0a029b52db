"""Certification paths: what we accept, ``openssl verify`` accepts, and the other way round."""

from __future__ import annotations

import datetime as dt
import random
import subprocess
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from ign_deploy.module.trust import check_trust
from ign_deploy.module.trust_policy import TrustAnchor, TrustPolicy
from tests.support.identities import pem_certificates
from tests.support.paths import Link, make_path

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
ORGANIZATION = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Vendor")])
OTHER = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Other")])
BASES: list[x509.GeneralName] = [
    x509.DNSName("example.com"),
    x509.DNSName("a.example.com"),
    x509.RFC822Name("example.com"),
    x509.RFC822Name(".example.com"),
    x509.IPAddress(ip_network("10.0.0.0/8")),
    x509.DirectoryName(ORGANIZATION),
    x509.DirectoryName(OTHER),
]
NAMES: list[x509.GeneralName] = [
    x509.DNSName("example.com"),
    x509.DNSName("b.a.example.com"),
    x509.DNSName("evil.test"),
    x509.RFC822Name("me@example.com"),
    x509.RFC822Name("me@sub.example.com"),
]


def unchecked(kind: Any, *texts: str) -> list[x509.GeneralName]:
    """Return names as certificates can have them, also those that the library wouldn't make."""
    return [kind._init_without_validation(text) for text in texts]


ODD_BASES: list[x509.GeneralName] = [
    *unchecked(x509.DNSName, "", ".example.com", "EXAMPLE.com", "com", "example.com."),
    *unchecked(x509.RFC822Name, "", "me@example.com", "ME@example.com", ".example.com"),
    *unchecked(x509.UniformResourceIdentifier, "", "example.com", ".example.com", "EXAMPLE.COM"),
    x509.IPAddress(ip_network("0.0.0.0/0")),
    x509.IPAddress(ip_network("2001:db8::/32")),
    x509.DirectoryName(x509.Name([])),
]
ODD_NAMES: list[x509.GeneralName] = [
    *unchecked(
        x509.DNSName, "*.example.com", "EXAMPLE.COM", "example.com.", ".example.com",
        "a..example.com", "example.com\0.evil.test", "notexample.com", "xn--bcher-kva.example",
    ),
    *unchecked(
        x509.RFC822Name, "ME@example.com", "me@EXAMPLE.com", '"a@b"@example.com', "example.com",
        "@example.com", "me@example.com.",
    ),
    *unchecked(
        x509.UniformResourceIdentifier, "https://example.com/", "https://b.example.com:8/x",
        "https://u@example.com/", "urn:x", "https://evil.test@example.com/", "//example.com",
        "https://example.com\\@evil.test/", "https://10.0.0.1/",
    ),
    x509.IPAddress(ip_address("10.1.2.3")),
    x509.IPAddress(ip_address("2001:db8::1")),
]  # fmt: skip
SEEDS = range(8)
PATHS_PER_SEED = 40


def openssl_accepts(path: tuple[x509.Certificate, ...], folder: Path) -> bool:
    for name, part in (("signer", path[:1]), ("issuers", path[1:-1]), ("root", path[-1:])):
        (folder / f"{name}.pem").write_bytes(pem_certificates(*part))
    issuers = ["-untrusted", "issuers.pem"] if len(path) > 2 else []
    done = subprocess.run(
        ["openssl", "verify", "-attime", str(int(NOW.timestamp())), "-no-CApath", "-no-CAstore",
         "-CAfile", "root.pem", *issuers, "signer.pem"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode == 0


def some_constraints(chance: random.Random) -> x509.NameConstraints | None:
    if chance.random() < 0.75:
        return None
    bases = chance.sample(BASES, 2)
    permitted, excluded = chance.choice(((bases, None), (None, bases), (bases[:1], bases[1:])))
    return x509.NameConstraints(permitted, excluded)


def some_links(chance: random.Random) -> list[Link]:
    """Return a signer and one to four authorities; about half of the paths are valid."""

    def rarely(share: float = 0.04) -> bool:
        return chance.random() < share

    def dates(link: Link) -> Link:
        day = dt.timedelta(days=1)
        if rarely(0.02):
            return replace(link, not_after=NOW - day)
        return replace(link, not_before=NOW + day) if rarely(0.02) else link

    signer = Link(
        "Signer",
        authority=chance.random() < 0.2,
        signs_data=chance.choice((None, True)),
        names=chance.sample(NAMES, chance.randrange(3)),
        unknown_critical=rarely(),
    )
    authorities = [
        Link(
            f"Authority {number}",
            authority=not rarely(),
            path_length=chance.choice((None, None, 0, 1, 2)),
            signs_certificates=chance.choice((None, True, True, not rarely(0.2))),
            constraints=some_constraints(chance),
            unknown_critical=rarely(0.02),
            self_issued=rarely(0.2),
        )
        for number in range(chance.randint(1, 4))
    ]
    return [
        # A path length of what is no authority can't be encoded.
        dates(link if link.authority else replace(link, path_length=None))
        for link in (signer, *authorities)
    ]


@pytest.mark.parametrize("seed", SEEDS)
def test_generated_paths_are_judged_as_openssl_does(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    accepted = 0
    for _ in range(PATHS_PER_SEED):
        links = some_links(chance)
        path = make_path(links)
        policy = TrustPolicy((TrustAnchor("root.pem", path[-1]),))
        trust = check_trust(path[:-1], policy, now=NOW)
        reasons = [finding.message for finding in trust.findings]
        assert bool(trust.anchor) == openssl_accepts(path, tmp_path), (links, reasons)
        accepted += bool(trust.anchor)
    assert 0 < accepted < PATHS_PER_SEED


@pytest.mark.parametrize("seed", range(5000, 5006))
def test_of_odd_names_openssl_never_refuses_what_we_accept(seed: int, tmp_path: Path) -> None:
    """Verifiers differ here; we may be the stricter one only."""
    chance = random.Random(seed)
    accepted = 0
    for _ in range(PATHS_PER_SEED):
        signer = Link("Signer", names=chance.sample(ODD_NAMES, 2))
        bases = chance.sample(ODD_BASES, 2)
        permitted, excluded = chance.choice(((bases, None), (None, bases), (bases[:1], bases[1:])))
        constraints = x509.NameConstraints(permitted, excluded)
        links = (signer, Link("Authority", constraints=constraints), Link("Root"))
        path = make_path(links)
        policy = TrustPolicy((TrustAnchor("root.pem", path[-1]),))
        if check_trust(path[:-1], policy, now=NOW).anchor:
            assert openssl_accepts(path, tmp_path), links
            accepted += 1
    assert accepted
