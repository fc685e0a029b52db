from __future__ import annotations

import pytest

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.credentials import HostAuth, token_auth


@pytest.mark.parametrize("url", ["http://store.example", "http://10.0.0.1:8080/x"])
def test_credentials_for_plain_http_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="anyone on the way can read them"):
        HostAuth("Bearer x", url=url)


@pytest.mark.parametrize(
    "url",
    ["https://store.example", "http://localhost:1", "http://127.9.9.9", "http://[::1]:80/x"],
)
def test_credentials_for_tls_and_this_machine_are_fine(url: str) -> None:
    assert "Bearer" not in repr(HostAuth("Bearer x", url=url))


@pytest.mark.parametrize("url", ["ftp://x/", "https:///x", "http://[::1", "http://h:99999/"])
def test_credentials_for_no_http_url_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="neither http"):
        HostAuth("Bearer x", url=url)


def test_a_token_with_a_line_break_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        token_auth("s3cret\nX-Other: 1", url="https://store.example")
    assert "s3cret" not in refusal.value.message + refusal.value.hint
