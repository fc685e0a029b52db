"""Untrusted bytes as certificates give certificates or our error, nothing else."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ign_deploy.errors import VerificationError
from ign_deploy.module.certificates import (
    chain_problems,
    contains_private_key,
    describe,
    read_certificates,
    validity_findings,
    write_certificates,
)
from tests.support.identities import chain, pem_certificates
from tests.support.keystores import VECTORS
from tests.support.mutations import mutated

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
SEEDS = [
    *(
        (VECTORS / name).read_bytes()
        for name in ("chain-leaf-first.DER.p7b", "self4096-pfx.pem.p7b")
    ),
    write_certificates(chain()[1]),
    pem_certificates(*chain()[1]),
    b"\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02\xa0\x80\x30\x80\x02\x01\x01\x31\x00",
]


def use(data: bytes) -> None:
    """Do with the bytes all that verifying does with a module's certificates."""
    contains_private_key(data)
    try:
        certificates = read_certificates(data)
    except VerificationError:
        return
    for certificate in certificates:
        describe(certificate).as_dict()
    chain_problems(certificates)
    validity_findings(certificates, NOW)
    assert read_certificates(write_certificates(certificates)) == certificates


@SETTINGS
@given(st.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    use(data)


@SETTINGS
@given(st.binary(max_size=200))
def test_any_bytes_in_a_structure(data: bytes) -> None:
    use(b"\x30\x82" + len(data).to_bytes(2, "big") + data)


@SETTINGS
@given(mutated(SEEDS))
def test_any_mutation_of_good_files(data: bytes) -> None:
    use(data)
