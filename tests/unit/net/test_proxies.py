from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ign_deploy.errors import ConfigurationError
from ign_deploy.net.proxies import proxies_from, proxy_passwords

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("env", "url", "expected"),
    [
        ({}, "https://a.example", {}),
        ({"https_proxy": PROXY}, "https://a.example", {"https": PROXY}),
        ({"HTTPS_PROXY": PROXY}, "https://a.example", {"https": PROXY}),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://x"}, "https://a.example", {"https": PROXY}),
        ({"https_proxy": "", "HTTPS_PROXY": PROXY}, "https://a.example", {"https": PROXY}),
        ({"HTTPS_PROXY": PROXY}, "http://a.example", {}),
        ({"http_proxy": PROXY}, "http://a.example", {"http": PROXY}),
        ({"HTTP_PROXY": PROXY}, "http://a.example", {}),
        ({"ALL_PROXY": PROXY}, "http://a.example", {"http": PROXY}),
        ({"all_proxy": PROXY, "https_proxy": "http://b"}, "https://a", {"https": "http://b"}),
        ({"https_proxy": "proxy.example:3128"}, "https://a.example", {"https": PROXY}),
        ({"https_proxy": f" {PROXY} "}, "https://a.example", {"https": PROXY}),
    ],
)
def test_the_usual_variables_hold(env: dict[str, str], url: str, expected: dict[str, str]) -> None:
    assert proxies_from(env, url) == expected


@pytest.mark.parametrize(
    "url", ["https://localhost:1", "https://127.0.0.1", "https://127.9.9.9/x", "https://[::1]:8"]
)
def test_this_machine_is_never_reached_through_a_proxy(url: str) -> None:
    assert proxies_from({"https_proxy": PROXY}, url) == {}


@pytest.mark.parametrize(
    ("listed", "host", "exempt"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("a.example", "A.Example", True),
        ("A.EXAMPLE", "a.example", True),
        ("a.example", "a.example.", True),
        ("example", "a.example", True),
        (".example", "a.example", True),
        ("*.example", "a.example", True),
        (".example", "example", True),
        ("ample", "a.example", False),
        ("b.example", "a.example", False),
        ("b.example, a.example", "a.example", True),
        ("b.example a.example", "a.example", True),
        (",,.,", "a.example", False),
        ("a.example:8443", "a.example:8443", True),
        ("a.example:443", "a.example", True),
        ("a.example:8443", "a.example", False),
        ("a.example:x", "a.example", True),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3:443", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/99", "10.1.2.3", False),
        ("example", "10.1.2.3", False),
        ("fd00::/8", "[fd00::1]", True),
        ("fd00::1", "[fd00::1]", True),
        ("[fd00::1]", "[fd00::1]", True),
        ("[fd00::1]:443", "[fd00::1]", True),
        ("[fd00::1]:444", "[fd00::1]", False),
        ("10.0.0.0/8", "[fd00::1]", False),
    ],
)
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_exempt_hosts_are_reached_directly(listed: str, host: str, exempt: bool, name: str) -> None:
    env = {"https_proxy": PROXY, name: listed}
    assert (proxies_from(env, f"https://{host}/") == {}) is exempt


@pytest.mark.parametrize(
    "proxy", ["socks5://s3cret@p", "http://", "http://p:s3cret", "http://[::1", "http://p:0"]
)
def test_a_proxy_that_cannot_be_used_is_rejected_without_being_shown(proxy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        proxies_from({"https_proxy": proxy}, "https://a.example")
    assert "s3cret" not in caught.value.message + caught.value.hint


def test_only_the_given_mapping_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "*" if "no" in name.lower() else "http://machine.example")
    assert proxies_from({}, "https://a.example") == {}
    assert proxies_from({"https_proxy": PROXY}, "https://a.example") == {"https": PROXY}


@given(st.text(), st.text())
def test_any_text_is_understood_or_refused(proxy: str, listed: str) -> None:
    try:
        found = proxies_from({"https_proxy": proxy, "no_proxy": listed}, "https://10.1.2.3")
    except ConfigurationError:
        return
    assert set(found) <= {"https"}


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
