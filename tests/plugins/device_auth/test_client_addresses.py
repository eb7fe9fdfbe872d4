"""Where codes and keys may be sent."""

from __future__ import annotations

import pytest
from objectkernel_device_auth.client_addresses import Address, address
from objectkernel_device_auth.contracts import AuthorizationFailed

VARIABLE = "MOSTA_NET_URL"


@pytest.mark.parametrize(
    ("url", "issuer"),
    [
        ("https://octonet.example", "https://octonet.example"),
        ("https://octonet.example/", "https://octonet.example"),
        (" https://octonet.example:8443/astro_08/ ", "https://octonet.example:8443/astro_08"),
        ("https://octonet.example/astro_08/api/v1/data", "https://octonet.example/astro_08"),
        ("https://octonet.example/api/v1/data/", "https://octonet.example"),
        ("HTTPS://octonet.example", "HTTPS://octonet.example"),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443"),
    ],
)
def test_a_path_is_kept(url: str, issuer: str) -> None:
    """A slash at the end says nothing; what names the data of a server means the server."""
    assert address(url, VARIABLE).issuer == issuer


@pytest.mark.parametrize(
    "url",
    [
        "octonet.example",
        "//octonet.example",
        "ftp://octonet.example",
        "https://",
        "https://ada:hunter2@octonet.example",
        "https://hunter2@octonet.example",
        "https://octonet.example/?key=hunter2",
        "https://octonet.example/#hunter2",
        "https://octonet.example/hunter2 x",
        "https://octonet.example:port/hunter2",
        "https://octonet.example/hünter2",
        "https://octonet.example/\nhunter2",
        "https://[::1/hunter2",
    ],
)
def test_what_is_no_address_is_told_without_showing_it(url: str) -> None:
    """The variable is named; what stands in it may be a secret."""
    with pytest.raises(AuthorizationFailed) as caught:
        address(url, VARIABLE)
    assert caught.value.reason == "address"
    assert VARIABLE in str(caught.value)
    assert "hunter2" not in str(caught.value) and "hünter2" not in str(caught.value)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "127.9.9.9:1", "[::1]:8000", "app.localhost"])
def test_item_39_http_is_taken_for_this_machine(host: str) -> None:
    """Nothing goes over a wire then."""
    assert address(f"http://{host}/path", VARIABLE).issuer == f"http://{host}/path"


@pytest.mark.parametrize(
    "host", ["octonet.example", "192.168.0.1", "localhost.example", "127.0.0.1.example", "0.0.0.0", "2130706433"]
)
def test_item_39_http_is_refused_for_others_unless_it_is_asked_for(host: str) -> None:
    """A key would be readable on the way; the error says how to have it nevertheless."""
    with pytest.raises(AuthorizationFailed, match="API_KEY_SOURCE__INSECURE_HTTP=true"):
        address(f"http://{host}", VARIABLE)
    assert address(f"http://{host}", VARIABLE, insecure=True).issuer == f"http://{host}"


@pytest.mark.parametrize(
    ("issuer", "insecure", "url", "admitted"),
    [
        ("https://a.example", False, "https://b.example/token", True),
        ("https://a.example", False, "http://a.example/token", False),
        ("https://a.example", True, "http://127.0.0.1/token", False),
        ("http://127.0.0.1", False, "http://127.0.0.1/token", True),
        ("http://127.0.0.1", False, "http://a.example/token", False),
        ("http://a.example", True, "http://a.example/token", True),
        ("https://a.example", False, "https://u:p@a.example/token", False),
        ("https://a.example", False, "https://a.example/token#x", False),
        ("https://a.example", False, "https://a.example/token?x=y", True),
        ("https://a.example", False, 5, False),
        ("https://a.example", False, None, False),
    ],
)
def test_item_39_what_a_server_names_is_no_less_safe(issuer: str, insecure: bool, url: object, admitted: bool) -> None:
    """Metadata cannot lead from https to http."""
    assert Address(issuer, insecure).admits(url) is admitted


def test_messages_call_a_server_by_host_and_port() -> None:
    """The path of an address may be known to few."""
    assert address("https://octonet.example:8443/astro_08", VARIABLE).place == "octonet.example:8443"
