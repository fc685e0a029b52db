"""Certificate chains: ordering, and the findings about chains in modules."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ign_deploy.errors import VerificationError
from ign_deploy.module.chain import chain_problems, find_chain, validity_findings
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
    assert find_chain([*shuffled, *shuffled], key.public_key()) == (certificates, ())


def test_a_chain_may_end_before_the_root() -> None:
    key, (leaf, middle, _) = chain()
    assert find_chain([middle, leaf], key.public_key()) == ((leaf, middle), ())
    assert find_chain([leaf], key.public_key()) == ((leaf,), ())


def test_a_key_that_no_certificate_is_for_is_rejected() -> None:
    with pytest.raises(VerificationError) as caught:
        find_chain(chain()[1], rsa_key("stranger").public_key())
    assert "(CN=Test Leaf; CN=Test Intermediate; CN=Test Root)" in caught.value.message
    assert [finding.code for finding in caught.value.findings] == ["key-mismatch"]


def test_a_certificate_of_another_chain_is_left_out() -> None:
    key, certificates = chain()
    _, stranger = self_signed("Stranger")
    assert find_chain([stranger, *certificates], key.public_key()) == (certificates, (stranger,))


def until(year: int) -> dt.datetime:
    return dt.datetime(year, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_a_renewed_certificate_counts_before_the_old_one(order: tuple[int, ...]) -> None:
    key, root_key = rsa_key("leaf"), rsa_key("root")
    root = issue("Root", root_key, issuer="Root", issuer_key=root_key, authority=True)
    old, new = (
        issue("Vendor", key, issuer="Root", issuer_key=root_key, not_after=until(year))
        for year in (2026, 2027)
    )
    given = (old, new, root)
    found = find_chain([given[each] for each in order], key.public_key())
    assert found == ((new, root), (old,))


def test_an_authoritys_certificate_counts_before_a_self_signed_one() -> None:
    key, root_key = rsa_key("leaf"), rsa_key("root")
    root = issue("Root", root_key, issuer="Root", issuer_key=root_key, authority=True)
    _, placeholder = self_signed("Vendor", key=key)
    leaf = issue("Vendor", key, issuer="Root", issuer_key=root_key, not_after=until(2027))
    assert find_chain([placeholder, leaf, root], key.public_key()) == ((leaf, root), (placeholder,))


class TestCrossSigned:
    """An intermediate that two roots signed, of which one may be absent."""

    @staticmethod
    def certificates() -> dict[str, x509.Certificate]:
        keys = {name: rsa_key(name) for name in ("leaf", "intermediate", "root", "other")}

        def made(subject: str, issuer: str, year: int = 2100) -> x509.Certificate:
            return issue(
                subject,
                keys[subject],
                issuer=issuer,
                issuer_key=keys[issuer],
                authority=subject != "leaf",
                not_after=until(year),
            )

        return {
            "leaf": made("leaf", "intermediate"),
            "by root": made("intermediate", "root", 2040),
            "by other": made("intermediate", "other", 2030),
            "root": made("root", "root"),
            "other": made("other", "other"),
            "root by other": made("root", "other"),
        }

    @pytest.mark.parametrize(
        ("given", "path"),
        [
            (("leaf", "by other", "by root", "root", "other"), ("by root", "root")),
            (("leaf", "by root", "by other", "other"), ("by other", "other")),
            (("leaf", "by other", "by root", "root"), ("by root", "root")),
            (("leaf", "by root", "root by other", "other", "root"), ("by root", "root")),
            (("leaf", "by root", "root by other", "other"), ("by root", "root by other", "other")),
            (("leaf", "by other", "by root"), ("by root",)),
        ],
    )
    def test_one_path_is_chosen(self, given: tuple[str, ...], path: tuple[str, ...]) -> None:
        made = self.certificates()
        for order in (given, given[::-1]):
            found, others = find_chain([made[name] for name in order], rsa_key("leaf").public_key())
            assert found == (made["leaf"], *(made[name] for name in path))
            assert {*found, *others} == {made[name] for name in given}
        assert "chain-order" not in dict(codes(found))

    def test_what_follows_the_chain_in_a_module_is_a_warning_with_serial_and_dates(self) -> None:
        made = self.certificates()
        path = (made["leaf"], made["by root"], made["root"])
        (finding,) = chain_problems((*path, made["by other"]))
        assert (finding.code, finding.severity) == ("chain-foreign", Severity.WARNING)
        serial = f"{made['by other'].serial_number:x}"
        assert f"CN=intermediate (serial {serial}, 2020-01-01 to 2030-01-01)" in finding.message

    def test_one_within_the_chain_is_out_of_order(self) -> None:
        made = self.certificates()
        given = (made["leaf"], made["by root"], made["by other"], made["root"])
        assert codes(given) == [("chain-order", "error"), ("chain-foreign", "warning")]

    def test_a_web_of_certificates_takes_no_time(self) -> None:
        names = [f"web-{number}" for number in range(6)]
        keys = {name: rsa_key(name) for name in names}
        web = [
            issue(one, keys[one], issuer=two, issuer_key=keys[two], authority=True)
            for one in names
            for two in names
            if one != two
        ]
        found, others = find_chain(web, keys["web-0"].public_key())
        assert len(found) + len(others) == len(web)


def test_a_root_without_the_intermediate_is_not_linked() -> None:
    key, (leaf, _, root) = chain()
    assert find_chain([root, leaf], key.public_key()) == ((leaf,), (root,))


def test_a_namesake_of_the_issuer_is_not_taken_for_it() -> None:
    key, (leaf, middle, root) = chain()
    _, namesake = self_signed("Test Intermediate", key=rsa_key("namesake"))
    ordered, untrusted = find_chain([namesake, root, middle, leaf], key.public_key())
    assert ordered == (leaf, middle, root)
    assert untrusted == (namesake,)


def test_two_that_issued_each_other_end_the_chain() -> None:
    one, two = rsa_key("one"), rsa_key("two")
    first = issue("One", one, issuer="Two", issuer_key=two, authority=True)
    second = issue("Two", two, issuer="One", issuer_key=one, authority=True)
    assert find_chain([second, first], one.public_key()) == ((first, second), ())


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


def test_a_certificate_outside_the_chain_is_a_warning() -> None:
    _, (leaf, middle, root) = chain()
    _, stranger = self_signed("Stranger")
    assert codes((leaf, middle, root, stranger)) == [("chain-foreign", "warning")]
    # The first one is the signer; the verifier finds out whether it is.
    assert codes((stranger, leaf, middle, root)) == [("chain-foreign", "warning")]
    within = [("chain-order", "error"), ("chain-foreign", "warning")]
    assert codes((leaf, stranger, middle, root)) == within


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
