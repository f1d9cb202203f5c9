from __future__ import annotations

import pytest

from engine.loopback import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "api.localhost", "[::1]"])
def test_this_machine(host: str) -> None:
    assert is_loopback(f"http://{host}:8811/client/v4")


@pytest.mark.parametrize(
    "url",
    [
        "https://api.cloudflare.com/client/v4",
        "https://192.0.2.1/",
        "https://localhost.example.com/",
        "https://127.0.0.1.example.com/",
        "https://127.0.0.1@api.example.com/",
        "https://api.example.com\\@127.0.0.1/",
        "https://api.example.com\t@127.0.0.1/",
        "https://[::1",
        "ftp://127.0.0.1/",
        "127.0.0.1:8811",
        "localhost",
        "",
    ],
)
def test_anywhere_else(url: str) -> None:
    assert not is_loopback(url)
