from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth, require_web_address, token_auth


@pytest.mark.parametrize("url", ["http://store.example", "http://10.0.0.1:8080/x"])
def test_credentials_for_plain_http_are_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError, match="send them unencrypted"):
        HostAuth("Bearer x", url=url)


@pytest.mark.parametrize(
    "url",
    ["https://store.example", "http://localhost:1", "http://127.9.9.9", "http://[::1]:80/x"],
)
def test_credentials_for_tls_and_this_machine_are_fine(url: str) -> None:
    assert "Bearer" not in repr(HostAuth("Bearer x", url=url))


@pytest.mark.parametrize("url", ["ftp://x/", "https:///x", "http://[::1", "http://h:99999/"])
def test_credentials_for_no_http_url_are_rejected(url: str) -> None:
    with pytest.raises(ConfigurationError, match="have the form http"):
        HostAuth("Bearer x", url=url)


def test_a_token_with_a_line_break_is_rejected_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        token_auth("s3cret\nX-Other: 1", url="https://store.example")
    assert "s3cret" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "HTTPS://example.com", "http://127.0.0.1:1", "http://[::1]/"]
)
def test_an_address_is_named_by_its_host(url: str) -> None:
    assert require_web_address(url, what="it") in ("example.com", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    "url", ["http://example.com", "HTTP://example.com", "http://127.0.0.1.nip"]
)
def test_plain_http_to_another_machine_is_for_what_is_not_private(url: str) -> None:
    with pytest.raises(ConfigurationError, match="send everything unencrypted"):
        require_web_address(url, what="it")
    require_web_address(url, what="it", is_private=False)


@pytest.mark.parametrize(
    "url", ["https://me:s3cret@h/", "https://h/s3cret\r\n", "s3cret", "https://[s3cret", "//s3cret"]
)
def test_what_cannot_be_used_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError) as failure:
        require_web_address(url, what="the thing", is_private=False)
    assert "the thing" in failure.value.message
    assert "s3cret" not in failure.value.message + failure.value.hint
