from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from ign_deploy.errors import RepositoryError
from ign_deploy.net.response import Response, parse_xml


def test_a_response_is_parsed_without_showing_its_values() -> None:
    numbers = TypeAdapter(list[int])
    assert Response(200, body=b"[1, 2]").parse(numbers) == [1, 2]
    response = Response(
        200, body=b'["s3cret"]', url="https://host/x", title="reading", error=RepositoryError
    )
    with pytest.raises(RepositoryError) as failure:
        response.parse(numbers)
    assert "reading failed: host sent an unexpected response: 0: " in failure.value.message
    assert "s3cret" not in failure.value.message
    assert failure.value.__cause__ is None


@pytest.mark.parametrize("body", [b"", b"no JSON", b"[" * 100_000])
def test_what_is_not_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        Response(200, body=body).json()
    assert Response(200, body=body).fields() == {}


def test_the_fields_are_those_of_an_object() -> None:
    assert Response(200, body=b'{"a": 1}').fields() == {"a": 1}
    assert Response(200, body=b"[1]").fields() == {}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a>",
        b"<!DOCTYPE a><a/>",
        b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
        b"<?xml version='1.0' encoding='unheard-of'?><a/>",
        b"<a>\xff</a>",
    ],
)
def test_what_is_not_plain_xml_is_none(body: bytes) -> None:
    assert parse_xml(body) is None
    assert parse_xml(b"<a><b>c</b></a>").findtext("b") == "c"
