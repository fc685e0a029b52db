"""Name constraints: every form of name, permitted and excluded."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from ign_deploy.module.name_constraints import forbidden_names
from tests.support.paths import Link, make_path


def directory(*parts: str) -> x509.DirectoryName:
    oids = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return x509.DirectoryName(
        x509.Name([x509.NameAttribute(*pair) for pair in zip(oids, parts, strict=False)])
    )


DNS, MAIL, URI = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier
IP = x509.IPAddress
CASES = [
    (DNS("example.com"), DNS("example.com"), True),
    (DNS("www.Example.com"), DNS("example.com"), True),
    (DNS("badexample.com"), DNS("example.com"), False),
    (DNS("example.com"), DNS(".example.com"), False),
    (DNS("a.example.com"), DNS(".example.com"), True),
    (DNS("anything"), DNS(""), True),
    (MAIL("a@example.com"), MAIL("example.com"), True),
    (MAIL("a@sub.example.com"), MAIL("example.com"), False),
    (MAIL("a@sub.example.com"), MAIL(".example.com"), True),
    (MAIL("a@example.com"), MAIL("a@EXAMPLE.com"), True),
    (MAIL("b@example.com"), MAIL("a@example.com"), False),
    (URI("https://example.com/x"), URI("example.com"), True),
    (URI("https://a.example.com:8/x"), URI(".example.com"), True),
    (URI("https://evil.test/example.com"), URI("example.com"), False),
    (IP(ip_address("10.1.2.3")), IP(ip_network("10.0.0.0/8")), True),
    (IP(ip_address("11.1.2.3")), IP(ip_network("10.0.0.0/8")), False),
    (IP(ip_address("::1")), IP(ip_network("10.0.0.0/8")), False),
    (directory("vendor ", "X"), directory("Vendor"), True),
    (directory("Vendor2", "X"), directory("Vendor"), False),
]


def forbidden(name: x509.GeneralName, constraints: x509.NameConstraints) -> bool:
    (certificate,) = make_path((Link("Signer", names=[name]),))
    return bool([*forbidden_names(certificate, constraints)])


@pytest.mark.parametrize(("name", "base", "within"), CASES)
def test_a_name_is_compared_by_the_rules_of_its_form(
    name: x509.GeneralName, base: x509.GeneralName, *, within: bool
) -> None:
    own = [directory("Vendor")] if isinstance(name, x509.DirectoryName) else []
    if not own or base.value != directory("Vendor").value:
        assert forbidden(name, x509.NameConstraints([base], None)) == (not within)
        assert forbidden(name, x509.NameConstraints(None, [base])) == within


def test_the_subject_is_a_name_as_well() -> None:
    """The subject is O=Vendor, CN=Signer."""
    (certificate,) = make_path((Link("Signer"),))
    other, own = directory("Other"), directory("VENDOR")
    assert [*forbidden_names(certificate, x509.NameConstraints([other], None))] == [
        "CN=Signer,O=Vendor"
    ]
    assert [*forbidden_names(certificate, x509.NameConstraints([own], None))] == []
    assert [*forbidden_names(certificate, x509.NameConstraints(None, [own]))] != []


def test_forms_that_are_not_constrained_are_free() -> None:
    constraints = x509.NameConstraints([DNS("example.com")], None)
    assert not forbidden(MAIL("a@evil.test"), constraints)


@pytest.mark.parametrize("uri", ["https://10.0.0.1/", "urn:example", "https://[::1]/"])
def test_a_uri_without_a_host_name_is_forbidden_where_uris_are_constrained(uri: str) -> None:
    for subtrees in (([URI("example.com")], None), (None, [URI("example.com")])):
        assert forbidden(URI(uri), x509.NameConstraints(*subtrees))


@pytest.mark.parametrize(
    ("name", "base"),
    [
        (DNS("example.com."), DNS("com")),
        (DNS("a..com"), DNS("com")),
        (DNS("example.com\0.com"), DNS("com")),
        (DNS("example.com"), DNS("com.")),
        (MAIL._init_without_validation("me@example.com"), MAIL._init_without_validation("")),
        (MAIL._init_without_validation("example.com"), MAIL("me@example.com")),
        (MAIL._init_without_validation('"a@b"@example.com'), MAIL("example.com")),
        (URI("https://user@example.com/"), URI("example.com")),
        (URI("//example.com"), URI("example.com")),
        (URI("https://example.com\\@evil.test/"), URI("example.com")),
    ],
)
def test_a_name_that_verifiers_read_differently_is_forbidden(
    name: x509.GeneralName, base: x509.GeneralName
) -> None:
    assert forbidden(name, x509.NameConstraints([base], None))
    assert forbidden(name, x509.NameConstraints(None, [base]))


def test_a_form_that_cannot_be_compared_is_forbidden_where_it_is_constrained() -> None:
    name = x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))
    assert forbidden(name, x509.NameConstraints(None, [name]))
    assert forbidden(name, x509.NameConstraints([name], None))


def test_names_that_are_too_many_to_compare_are_forbidden() -> None:
    names = [DNS(f"{number}.example.com") for number in range(600)]
    (certificate,) = make_path((Link("Signer", names=names),))
    bases = [DNS("example.com"), *(DNS(f"{number}.test") for number in range(599))]
    (shown,) = forbidden_names(certificate, x509.NameConstraints(bases, None))
    assert "600 others, too many to compare" in shown
