"""A change of configuration that would make a stack lose its own tunnel, or call its own records foreign."""

from __future__ import annotations

import requests

from tests.e2e.stack import Emulators, Stack


def test_what_is_its_own_stays_its_own(stack: Stack, emulators: Emulators) -> None:
    stack.up()
    good = stack.config_file.read_text()
    [target] = [record["content"] for record in emulators.records() if record["content"].endswith(".cfargotunnel.com")]
    emulators.forget_requests()

    stack.configure(accountId=None, tunnelCname=target, inboxService=None)
    for done in (stack.preview(check=False), stack.up(check=False)):
        assert done.code != 0
        assert f"agentmail:tunnelCname is '{target}', the tunnel that this stack made" in " ".join(done.text.split())

    stack.config_file.write_text(good)
    stack.configure(ownerTag="renamed")
    for done in (stack.preview(check=False), stack.up(check=False)):
        assert done.code != 0
        sentence = " ".join(done.text.split())
        assert "agentmail:ownerTag is 'renamed', and the last up of this stack had 'agentmail-dev'" in sentence
        assert "set it back with: ./mail pulumi config set --stack dev ownerTag agentmail-dev" in sentence
        assert "Traceback" not in done.text

    assert emulators.writes == 0
    stack.config_file.write_text(good)
    stack.up("--expect-no-changes")


def test_a_tunnel_of_an_up_that_died_is_its_own_too(stack: Stack, emulators: Emulators) -> None:
    """It has recorded no outputs: the state alone knows the tunnel. By any door, without `./mail`, too."""
    stack.configure(populations=[])
    quota(emulators, len(emulators.records()))
    assert stack.up(check=False).code != 0
    quota(emulators, 200)
    [tunnel] = emulators.state("cloudflare")["tunnels"]
    good = stack.config_file.read_text()

    stack.configure(accountId=None, tunnelCname=f"{tunnel['id']}.cfargotunnel.com", inboxService=None)
    for done in (stack.preview(check=False), stack.up(check=False)):
        assert done.code != 0
        assert "the tunnel that this stack made" in " ".join(done.text.split())
        assert f"config set --stack dev accountId {tunnel['account_tag']}" in " ".join(done.text.split())

    stack.config_file.write_text(good)
    stack.up()
    [same] = emulators.state("cloudflare")["tunnels"]
    assert (same["id"], same["deleted_at"]) == (tunnel["id"], None)


def quota(emulators: Emulators, records: int) -> None:
    """So many records may the zone have."""
    zone = emulators.status["cloudflare"]["zone_id"]
    url = emulators.control("cloudflare", f"zones/{zone}")
    requests.patch(url, json={"record_quota": records}, timeout=10).raise_for_status()
