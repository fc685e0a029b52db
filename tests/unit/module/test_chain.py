"""Certificate chains: ordering, and the findings about chains in modules."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ign_deploy.errors import VerificationError
from ign_deploy.module.chain import chain_problems, order_chain, split_chain, validity_findings
from ign_deploy.module.findings import Severity
from tests.support.identities import (
    NOT_AFTER,
    NOT_BEFORE,
    chain,
    common_name,
    issue,
    rsa_key,
    self_signed,
)


def codes(certificates: tuple[x509.Certificate, ...]) -> list[tuple[str, str]]:
    return [(each.code, each.severity.label) for each in chain_problems(certificates)]


def ec_self_signed() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(common_name("EC"))
        .issuer_name(common_name("EC"))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(NOT_BEFORE)
        .not_valid_after(NOT_AFTER)
        .sign(key, hashes.SHA256())
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_any_order_becomes_leaf_first(order: tuple[int, ...]) -> None:
    key, certificates = chain()
    shuffled = [certificates[each] for each in order]
    assert order_chain([*shuffled, *shuffled], key.public_key()) == certificates


def test_a_chain_may_end_before_the_root() -> None:
    key, (leaf, middle, _) = chain()
    assert order_chain([middle, leaf], key.public_key()) == (leaf, middle)
    assert order_chain([leaf], key.public_key()) == (leaf,)


def test_a_key_that_no_certificate_is_for_is_rejected() -> None:
    with pytest.raises(VerificationError) as caught:
        order_chain(chain()[1], rsa_key("stranger").public_key())
    assert [finding.code for finding in caught.value.findings] == ["key-mismatch"]


def test_a_certificate_of_another_chain_is_rejected_by_name() -> None:
    key, certificates = chain()
    _, stranger = self_signed("Stranger")
    with pytest.raises(VerificationError, match="CN=Stranger") as caught:
        order_chain([*certificates, stranger], key.public_key())
    assert [finding.code for finding in caught.value.findings] == ["chain-foreign"]


def test_a_root_without_the_intermediate_is_not_linked() -> None:
    key, (leaf, _, root) = chain()
    assert split_chain([root, leaf], key.public_key()) == ((leaf,), (root,))


def test_a_namesake_of_the_issuer_is_not_taken_for_it() -> None:
    key, (leaf, middle, root) = chain()
    _, namesake = self_signed("Test Intermediate", key=rsa_key("namesake"))
    ordered, untrusted = split_chain([namesake, root, middle, leaf], key.public_key())
    assert ordered == (leaf, middle, root)
    assert untrusted == (namesake,)


def test_two_that_issued_each_other_end_the_chain() -> None:
    one, two = rsa_key("one"), rsa_key("two")
    first = issue("One", one, issuer="Two", issuer_key=two, authority=True)
    second = issue("Two", two, issuer="One", issuer_key=one, authority=True)
    assert order_chain([second, first], one.public_key()) == (first, second)


def test_good_chains_have_no_problems() -> None:
    _, certificates = chain()
    assert chain_problems(certificates) == []
    assert chain_problems((self_signed()[1],)) == []


def test_no_certificate_is_a_problem() -> None:
    assert codes(()) == [("certificates-empty", "error")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_every_other_order_is_a_problem(order: tuple[int, ...]) -> None:
    _, certificates = chain()
    shuffled = tuple(certificates[each] for each in order)
    assert codes(shuffled) == [("chain-order", "error")]
    wanted = "CN=Test Leaf → CN=Test Intermediate → CN=Test Root"
    assert wanted in chain_problems(shuffled)[0].message


def test_a_missing_issuer_is_a_warning_that_names_it() -> None:
    leaf, middle, _ = chain()[1]
    assert codes((leaf, middle)) == [("chain-incomplete", "warning")]
    assert "CN=Test Root" in chain_problems((leaf, middle))[0].message


def test_equal_names_do_not_complete_a_chain() -> None:
    quirk = issue("Vendor", rsa_key("one"), issuer="Vendor", issuer_key=rsa_key("two"))
    assert codes((quirk,)) == [("chain-incomplete", "warning")]


def test_a_untrusted_certificate_is_a_problem() -> None:
    _, certificates = chain()
    _, stranger = self_signed("Stranger")
    assert codes((*certificates, stranger)) == [("chain-foreign", "error")]
    assert codes((stranger, *certificates)) == [("chain-foreign", "error")]


def test_a_repeated_certificate_is_a_warning() -> None:
    leaf, middle, root = chain()[1]
    assert codes((leaf, leaf, middle, root)) == [("chain-duplicate", "warning")]


def test_a_key_other_than_rsa_is_a_problem() -> None:
    assert codes((ec_self_signed(),)) == [("key-not-rsa", "error")]


def test_a_short_rsa_key_is_a_warning() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    assert codes((self_signed("Short", key=key)[1],)) == [("key-too-short", "warning")]


def test_an_issuer_that_is_not_an_authority_is_a_warning() -> None:
    root_key, leaf_key = rsa_key("root"), rsa_key("leaf")
    root = issue("No CA", root_key, issuer="No CA", issuer_key=root_key)
    leaf = issue("Leaf", leaf_key, issuer="No CA", issuer_key=root_key)
    assert codes((leaf, root)) == [("issuer-not-ca", "warning")]


@pytest.mark.parametrize(
    ("moment", "code"),
    [
        (NOT_BEFORE - dt.timedelta(seconds=1), ["not-yet-valid"]),
        (NOT_BEFORE, []),
        (NOT_AFTER, []),
        (NOT_AFTER + dt.timedelta(seconds=1), ["expired"]),
    ],
)
def test_validity_is_judged_at_the_given_time(moment: dt.datetime, code: list[str]) -> None:
    _, certificate = self_signed()
    found = validity_findings((certificate,), moment)
    assert [each.code for each in found] == code
    assert all(each.severity is Severity.WARNING and each.hint for each in found)


def test_each_certificate_of_the_chain_is_judged() -> None:
    _, certificates = chain()
    late = NOT_AFTER.astimezone(dt.timezone(dt.timedelta(hours=9))) + dt.timedelta(days=1)
    assert len(validity_findings(certificates, late)) == 3
