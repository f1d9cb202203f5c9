"""What Cloudflare refuses to write is told in a sentence, and the next run goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests

from tests.e2e.stack import Emulators, Stack


@pytest.fixture
def stack(emulators: Emulators, tmp_path: Path) -> Stack:
    emulators.reset()
    stack = Stack.create(tmp_path, emulators)
    stack.configure(populations=[])
    return stack


def token(emulators: Emulators, *groups: str) -> str:
    """A token with these permission groups."""
    zone = emulators.status["cloudflare"]["zone_id"]
    policy = {
        "effect": "allow",
        "resources": {f"com.cloudflare.api.account.zone.{zone}": "*"},
        "permission_groups": [{"name": group} for group in groups],
    }
    made = requests.post(
        f"{emulators.status['cloudflare']['url']}/user/tokens",
        headers={"Authorization": f"Bearer {emulators.credentials['CLOUDFLARE_API_TOKEN']}"},
        json={"name": "narrow", "policies": [policy]},
        timeout=10,
    )
    return str(made.json()["result"]["value"])


def told(text: str) -> str:
    return " ".join(text.split())


def test_a_token_that_may_read_dns_only(stack, emulators):
    narrow = token(emulators, "DNS Read", "Cloudflare Tunnel Write")
    done = stack.up(check=False, CLOUDFLARE_API_TOKEN=narrow)
    assert done.code != 0
    assert "Cloudflare does not let this API token create mail-spf (dev.agents.example TXT), code 10000" in told(
        done.text
    )
    assert "permission Zone.DNS Edit for this zone" in told(done.text)
    assert narrow not in done.text
    stack.up()
    assert stack.preview("--expect-no-changes").code == 0


def test_an_update_that_is_refused(stack, emulators):
    stack.up()
    stack.configure(dmarcPolicy="quarantine")
    done = stack.up(check=False, CLOUDFLARE_API_TOKEN=token(emulators, "DNS Read", "Cloudflare Tunnel Write"))
    assert "Cloudflare does not let this API token update mail-dmarc (_dmarc.dev.agents.example TXT)" in told(done.text)
    stack.up()
    stack.destroy()
