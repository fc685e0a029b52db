from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.address import require_web_address


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "HTTPS://example.com", "http://127.0.0.1:1", "http://[::1]/"]
)
def test_an_address_is_named_by_its_host(url: str) -> None:
    assert require_web_address(url, what="it") in ("example.com", "127.0.0.1", "::1")


@pytest.mark.parametrize(
    "url", ["http://example.com", "HTTP://example.com", "http://127.0.0.1.nip"]
)
def test_plain_http_to_another_machine_is_for_what_is_not_private(url: str) -> None:
    with pytest.raises(ConfigurationError, match="anyone on the way can read"):
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
