"""What Cloudflare refuses to write is told in a sentence, and the next run goes on from there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from commands.doctor.tunnel import TUNNEL_URN
from tests.e2e.adoption import adopt
from tests.e2e.stack import Emulators, Stack, mail


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


def test_a_token_that_may_read_dns_only(stack: Stack, emulators: Emulators) -> None:
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


def test_an_update_that_is_refused(stack: Stack, emulators: Emulators) -> None:
    stack.up()
    stack.configure(dmarcPolicy="quarantine")
    done = stack.up(check=False, CLOUDFLARE_API_TOKEN=token(emulators, "DNS Read", "Cloudflare Tunnel Write"))
    assert "Cloudflare does not let this API token update mail-dmarc (_dmarc.dev.agents.example TXT)" in told(done.text)
    stack.up()
    stack.destroy()


def test_a_full_zone_and_the_run_after_it(stack: Stack, emulators: Emulators) -> None:
    zone = emulators.status["cloudflare"]["zone_id"]
    quota = {"record_quota": len(emulators.records()) + 2}
    requests.patch(emulators.control("cloudflare", f"zones/{zone}"), json=quota, timeout=10).raise_for_status()
    done = stack.up(check=False)
    assert "code 81045: the zone has as many records as its plan allows" in told(done.text)
    requests.patch(
        emulators.control("cloudflare", f"zones/{zone}"), json={"record_quota": 200}, timeout=10
    ).raise_for_status()
    stack.up()
    assert stack.preview("--expect-no-changes").code == 0


def live_tunnel(emulators: Emulators) -> str:
    [tunnel] = [one for one in emulators.state("cloudflare")["tunnels"] if not one["deleted_at"]]
    return str(tunnel["id"])


def test_a_destroy_beside_a_running_cloudflared_goes_on_once_it_has_stopped(stack: Stack, emulators: Emulators) -> None:
    stack.up()
    tunnel = live_tunnel(emulators)
    requests.post(emulators.control("cloudflare", f"tunnels/{tunnel}/connections"), timeout=10).raise_for_status()
    done = mail("destroy", stack.name, "-C", stack.folder, env=stack.environment, check=False)
    assert done.code != 0
    [sentence] = [line for line in done.err.splitlines() if line.startswith("Cloudflare did not delete api-tunnel")]
    assert "code 1022: a cloudflared is still connected to the tunnel; stop the cloudflared" in sentence
    account(emulators, "DELETE", f"cfd_tunnel/{tunnel}/connections")
    stack.destroy()
    assert not [record for record in emulators.records() if record["comment"]]


def account(emulators: Emulators, method: str, path: str) -> None:
    """A request to the account by somebody at the dashboard."""
    status = emulators.status["cloudflare"]
    headers = {"Authorization": f"Bearer {emulators.credentials['CLOUDFLARE_API_TOKEN']}"}
    url = f"{status['url']}/accounts/{status['account_id']}/{path}"
    requests.request(method, url, headers=headers, timeout=10).raise_for_status()


def test_a_tunnel_that_somebody_has_deleted(stack: Stack, emulators: Emulators) -> None:
    """The remedy of `./mail doctor`, step by step: a refresh cannot see it, since Cloudflare goes on showing it."""
    stack.up()
    gone = live_tunnel(emulators)
    account(emulators, "DELETE", f"cfd_tunnel/{gone}")
    urn = TUNNEL_URN.format(stack="dev", project="agentmail")
    stack.pulumi("state", "delete", urn, "--stack", "dev", "--target-dependents", "--force", "--yes")
    adopt(stack, "--yes")
    stack.up()
    assert live_tunnel(emulators) != gone
    [cname] = [record for record in emulators.records() if record["type"] == "CNAME" and record["proxied"]]
    assert cname["content"] == f"{live_tunnel(emulators)}.cfargotunnel.com"
    assert stack.preview("--expect-no-changes").code == 0


def test_a_token_is_rolled_in_the_documented_order(stack: Stack, emulators: Emulators) -> None:
    """`refresh` asks with the token of the last run: the old one must live until an apply has noted the new one."""
    groups = ("DNS Write", "Cloudflare Tunnel Write")
    old, new = token(emulators, *groups), token(emulators, *groups)
    del stack.environment["CLOUDFLARE_API_TOKEN"]
    configure_token(stack, old)
    stack.up()
    configure_token(stack, new)
    revoke(emulators, old)
    # In the wrong order a refresh fails: the doctor says so, and no remedy of its begins with one.
    assert stack.preview("--refresh", check=False).code != 0
    emulators.cloudflare("DELETE", f"/dns_records/{mx(emulators)}").raise_for_status()
    words = ("doctor", stack.name, "-C", stack.folder, "--emulators", emulators.folder, "--json")
    findings = json.loads(mail(*words, env=stack.environment, check=False).out)["findings"]
    [recorded] = [one["sentence"] for one in findings if one["subject"] == "state"]
    assert "another cloudflare:apiToken than the configuration has" in recorded
    assert recorded.endswith("record it with: ./mail apply dev")
    [gone] = [
        one["sentence"] for one in findings if (one["check"], one["subject"]) == ("zone", "MX dev.agents.example")
    ]
    assert gone.endswith("put it back with: ./mail apply dev && ./mail apply dev --refresh")
    for options in ((), ("--refresh",)):
        mail("apply", stack.name, "-C", stack.folder, "--yes", *options, env=stack.environment)
    assert mx(emulators)


def configure_token(stack: Stack, value: str) -> None:
    # As one word, since a token may begin with a hyphen.
    stack.pulumi("config", "set-all", "--secret", f"cloudflare:apiToken={value}", "--stack", stack.name)


def mx(emulators: Emulators) -> str:
    """The id of the domain's."""
    [found] = [one["id"] for one in emulators.records() if (one["type"], one["name"]) == ("MX", "dev.agents.example")]
    return str(found)


def revoke(emulators: Emulators, value: str) -> None:
    base = emulators.status["cloudflare"]["url"]
    verified = requests.get(f"{base}/user/tokens/verify", headers={"Authorization": f"Bearer {value}"}, timeout=10)
    owner = {"Authorization": f"Bearer {emulators.credentials['CLOUDFLARE_API_TOKEN']}"}
    token_id = verified.json()["result"]["id"]
    requests.delete(f"{base}/user/tokens/{token_id}", headers=owner, timeout=10).raise_for_status()
