"""Untrusted bytes as keys and keystores give an identity or IdentityError, nothing else."""

from __future__ import annotations

import base64
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ign_deploy.errors import IdentityError
from ign_deploy.signing.identity import IdentityMaterial, load_identity, read_material
from ign_deploy.signing.jks import read_jks
from tests.support.identities import chain, pem_certificates, pem_key, self_signed
from tests.support.keystores import KEYSTORES, VECTORS, JksKey, JksTrusted, jks, sealed
from tests.support.mutations import mutated

pytestmark = pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")

SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECRET_LETTERS = "abcXYZ0129+/=.-_~ \\\n\0é🔑"
KEY, CERTIFICATES = chain()
GOOD_JKS = jks(
    JksTrusted("ca", CERTIFICATES[2]),
    JksKey("first", KEY, CERTIFICATES, "changeit"),
    JksKey("second", self_signed()[0], (self_signed()[1],), "changeit"),
)
SEEDS = [
    (VECTORS / "self2048.jks").read_bytes(),
    pem_key(KEY) + pem_certificates(*CERTIFICATES),
    pem_key(KEY, password="changeit"),
    *((KEYSTORES / name).read_bytes() for name in ("two-keys.p12", "legacy-rc2.p12", "plain.p12")),
]


def use_jks(data: bytes) -> None:
    with suppress(IdentityError):
        read_jks(data, store_password="changeit", key_password=None, alias="first")


@SETTINGS
@given(st.binary(max_size=300))
def test_any_bytes_as_a_keystore(data: bytes) -> None:
    use_jks(data)
    use_jks(sealed(b"\xfe\xed\xfe\xed\0\0\0\x02" + data))


@SETTINGS
@given(mutated([GOOD_JKS[:-20]]))
def test_any_mutation_of_a_jks_with_a_right_digest(body: bytes) -> None:
    use_jks(sealed(body))


@SETTINGS
@given(mutated(SEEDS), st.sampled_from((None, "first", "signer")))
def test_any_mutation_of_keys_and_keystores(data: bytes, alias: str | None) -> None:
    material = IdentityMaterial(
        keystore=base64.b64encode(data).decode(), store_password="changeit", alias=alias
    )
    with suppress(IdentityError):
        load_identity(material)


@SETTINGS
@given(st.text(alphabet=SECRET_LETTERS, min_size=12, max_size=60))
def test_any_text_as_material_is_an_error_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(IdentityError) as caught:
        read_material("?" + text, what="key")
    assert text not in f"{caught.value.message} {caught.value.hint} {caught.value.__cause__}"
