"""PKCS#11 URIs: the examples of RFC 7512 that name a key, and hostile ones."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import IdentityError
from ign_deploy.signing.keys.pkcs11_uri import Pkcs11Uri, parse_pkcs11_uri

MODULE = "?module-path=/usr/lib/token.so"


def refused(uri: str) -> IdentityError:
    with pytest.raises(IdentityError) as caught:
        parse_pkcs11_uri(uri)
    assert caught.value.hint
    assert "--key" in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("", {}),
        ("object=my-key", {"object": "my-key"}),
        ("object=my%20key;type=private;id=%69%95%3E%5C%F4%BD%EC%91", {
            "object": "my key", "id": b"\x69\x95\x3e\x5c\xf4\xbd\xec\x91"}),
        ("token=The%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0", {
            "token": "The PKCS#11 Softtoken",
            "manufacturer": "Snake Oil, Inc.",
            "model": "1.0"}),
        ("slot-id=327;serial=DECC0401648", {"slot_id": 327, "serial": "DECC0401648"}),
        ("token=Schlüssel;object=ü%c3%bc;", {"token": "Schlüssel", "object": "üü"}),
        ("token=", {"token": ""}),
    ],
)  # fmt: skip
def test_what_a_uri_names(path: str, wanted: dict[str, object]) -> None:
    expected = Pkcs11Uri(module_path="/usr/lib/token.so", **wanted)  # type: ignore[arg-type] # a table
    assert parse_pkcs11_uri(f"pkcs11:{path}{MODULE}") == expected
    assert parse_pkcs11_uri(f"PKCS11:{path}{MODULE}") == expected


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("pkcs11:token=x", "doesn't name the token's PKCS#11 library"),
        ("pkcs11:token=x?module-path=", "doesn't name the token's PKCS#11 library"),
        ("pkcs11:token=x?module-path=token.so", "module-path is not an absolute path"),
        ("pkcs11:token=x?module-path=../token.so", "module-path is not an absolute path"),
        ("pkcs11:token=x?module-path=/a&module-path=/b", "module-path is given twice"),
        ("pkcs11:token=x?module-path=/a%00b", "module-path has unprintable characters"),
        ("pkcs11:token=x?module-name=softhsm2", "module-name is not supported"),
        (f"pkcs11:token=x;token=y{MODULE}", "token is given twice"),
        (f"pkcs11:tokn=x{MODULE}", "tokn is not supported"),
        (f"pkcs11:x-vendor=1{MODULE}", "x-vendor is not supported"),
        (f"pkcs11:token{MODULE}", "token has no value"),
        (f"pkcs11:token=%{MODULE}", 'token has a "%"'),
        (f"pkcs11:token=%2{MODULE}", 'token has a "%"'),
        (f"pkcs11:token=%zz{MODULE}", 'token has a "%"'),
        (f"pkcs11:token=%ff{MODULE}", "token is not UTF-8"),
        (f"pkcs11:token=%1b[2J{MODULE}", "token has unprintable characters"),
        (f"pkcs11:token=a\nb{MODULE}", "unprintable characters"),
        (f"pkcs11:token={'x' * 5000}{MODULE}", "more than 4096"),
        (f"pkcs11:slot-id=x{MODULE}", "slot-id is not a slot's number"),
        (f"pkcs11:slot-id=-1{MODULE}", "slot-id is not a slot's number"),
        (f"pkcs11:slot-id={1 << 64}{MODULE}", "slot-id is not a slot's number"),
        (f"pkcs11:type=cert{MODULE}", "its type is not private"),
        (f"pkcs11://token=x{MODULE}", "an attribute is not supported"),
        (f"pkcs11:%74oken=x{MODULE}", "an attribute is not supported"),
        (f"pkcs12:token=x{MODULE}", "doesn't begin with"),
    ],
)
def test_what_is_wrong_with_a_uri_is_named(uri: str, reason: str) -> None:
    assert reason in refused(uri).message


@pytest.mark.parametrize("name", ["pin-value", "pin-source"])
@pytest.mark.parametrize("place", ["pkcs11:{}=1234{}", "pkcs11:token=x{1}&{0}=1234"])
def test_a_pin_in_the_uri_is_refused_and_not_repeated(name: str, place: str) -> None:
    problem = refused(place.format(name, MODULE))
    assert name in problem.message
    assert "MODULE_SIGNING_PIN" in problem.hint
    assert "1234" not in problem.message + problem.hint


names = st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=40)


@given(token=names, label=names, number=st.binary(min_size=1, max_size=20))
def test_any_name_can_be_written(token: str, label: str, number: bytes) -> None:
    path = f"token={quote(token, safe='')};object={quote(label, safe='')};id={quote(number)}"
    parsed = parse_pkcs11_uri(f"pkcs11:{path}{MODULE}")
    assert (parsed.token, parsed.object, parsed.id) == (token, label, number)


letters = st.text(st.sampled_from("abt=;&?%0fF/ -\0\n\u202eé") | st.characters(), max_size=80)
parts = st.lists(
    st.sampled_from(["token=", "id=%", "slot-id=", "module-path=/a", "pin-value=", "?", ";", "&"])
    | letters,
    max_size=12,
)


@given(parts)
def test_hostile_text_is_a_uri_or_an_error_that_shows_none_of_its_values(found: list[str]) -> None:
    text = "pkcs11:" + "".join(found)
    message, values = "", ("/", "")
    try:
        parsed = parse_pkcs11_uri(text)
        values = (parsed.module_path, parsed.token or "")
    except IdentityError as problem:
        message = problem.message
    assert message.isprintable()
    assert len(message) < 200
    assert all(value.isprintable() for value in values)
    assert values[0].startswith("/")
