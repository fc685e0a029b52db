from __future__ import annotations

import pytest

from ign_deploy.net.proxy_secrets import proxy_passwords


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("http://user:p%40ss@proxy.example:3128", ("p%40ss", "p@ss")),
        ("http://user:plain@proxy.example", ("plain",)),
        ("http://proxy.example:3128", ()),
        ("http://[broken", ()),
        ("", ()),
    ],
)
def test_the_password_of_a_proxy_is_found_as_written_and_decoded(
    url: str, found: tuple[str, ...]
) -> None:
    assert proxy_passwords({"HTTPS_PROXY": url}) == found
