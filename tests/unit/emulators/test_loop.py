"""The emulators joined up: records at Cloudflare verify the domain at Mailjet, and mail goes round."""

from __future__ import annotations

import json
import smtplib
import ssl
from collections.abc import Iterator
from contextlib import redirect_stdout
from email.message import EmailMessage
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import requests

from commands.cli.running import main
from emulators.embedded import Control
from tests.unit.emulators.webhook import Webhook
from tests.waiting import wait_until

DOMAIN, HOST = "dev.agents.example", "api-dev.agents.example"
ANN, BOB = f"ann@{DOMAIN}", f"bob@{DOMAIN}"


class EmulatedAccounts:
    """Both accounts, by HTTP."""

    def __init__(self, status: dict[str, Any]) -> None:
        lines = Path(status["env_file"]).read_text().splitlines()
        env = dict(line.split("=", 1) for line in lines)
        self.status = status
        self.auth = (env["MAILJET_API_KEY"], env["MAILJET_API_SECRET"])
        self.control = Control(status["mailjet"]["url"])
        self._bearer = {"Authorization": f"Bearer {env['CLOUDFLARE_API_TOKEN']}"}

    def mailjet(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.status['mailjet']['url']}/v3/REST/{path}"
        answer = requests.request(method, url, json=body, auth=self.auth, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def cloudflare(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self.status['cloudflare']['url']}/{path}"
        answer = requests.request(method, url, json=body, headers=self._bearer, timeout=10)
        answer.raise_for_status()
        return answer.json()["result"]

    def record(self, kind: str, name: str, content: str, **more: object) -> None:
        body = {"type": kind, "name": name.rstrip("."), "content": content, "ttl": 1, **more}
        self.cloudflare("POST", f"zones/{self.status['cloudflare']['zone_id']}/dns_records", body)

    def publish(self) -> None:
        """Every record that agent mail needs, and none of the tunnel."""
        self.mailjet("POST", "sender", {"Email": f"*@{DOMAIN}"})
        row = self.mailjet("GET", f"dns/{DOMAIN}")["Data"][0]
        value = row["DKIMRecordValue"]
        self.record("TXT", row["DKIMRecordName"], f'"{value[:255]}" "{value[255:]}"')
        self.record("TXT", row["OwnerShipTokenRecordName"], f'"{row["OwnerShipToken"]}"')
        self.record("TXT", DOMAIN, '"v=spf1 include:spf.mailjet.com -all"')
        self.record("MX", DOMAIN, "parse.mailjet.com", priority=10)

    def tunnel(self, service: str) -> None:
        """A tunnel from HOST to `service`, and the host's name."""
        account = self.status["cloudflare"]["account_id"]
        tunnel = self.cloudflare("POST", f"accounts/{account}/cfd_tunnel", {"name": "t", "config_src": "cloudflare"})
        ingress = [{"hostname": HOST, "service": service}, {"service": "http_status:404"}]
        path = f"accounts/{account}/cfd_tunnel/{tunnel['id']}/configurations"
        self.cloudflare("PUT", path, {"config": {"ingress": ingress}})
        self.record("CNAME", HOST, f"{tunnel['id']}.cfargotunnel.com", proxied=True)


def command(*arguments: str) -> str:
    with redirect_stdout(StringIO()) as out:
        assert main(arguments) == 0
    return out.getvalue()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[EmulatedAccounts]:
    folder = ("--state-dir", str(tmp_path / "state"))
    command("emulators", "up", "--free-ports", *folder)
    found = EmulatedAccounts(json.loads(command("emulators", "status", "--json", *folder)))
    found.control.switches(retry_seconds=0.05, retry_attempts=100)
    yield found
    command("emulators", "down", *folder)


def test_mail_goes_round(world: EmulatedAccounts, webhook: Webhook) -> None:
    world.publish()
    check = world.mailjet("POST", f"dns/{DOMAIN}/check")["Data"][0]
    assert (check["DKIMStatus"], check["SPFStatus"]) == ("OK", "OK")
    assert world.mailjet("POST", f"sender/*@{DOMAIN}/validate")["ValidationMethod"] == "DNS"
    world.mailjet("POST", "parseroute", {"Email": BOB, "Url": f"https://owner:pw@{HOST}{webhook.prefix}/in"})

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = ANN, BOB, "Round"
    message.set_content("Hello")
    smtp = world.status["mailjet"]["smtp"]
    with smtplib.SMTP("localhost", smtp["port"], timeout=10) as client:
        client.starttls(context=ssl.create_default_context(cafile=smtp["ca_file"]))
        client.login(*world.auth)
        client.send_message(message)

    # No tunnel yet: Mailjet waits, and delivers once there is one.
    wait_until(lambda: any("neither a loopback" in (one["error"] or "") for one in world.control.deliveries()))
    world.tunnel(f"http://127.0.0.1:{webhook.port}")
    (call,) = wait_until(lambda: webhook.calls)
    assert (call.path, call.user, call.password) == ("/in", "owner", "pw")
    assert call.payload["Recipient"] == BOB
    assert call.payload["Text-part"].strip() == "Hello"
    wait_until(lambda: world.control.state()["deliveries"]["delivered"] == 1)


def test_nothing_is_verified_without_records(world: EmulatedAccounts) -> None:
    world.mailjet("POST", "sender", {"Email": f"*@{DOMAIN}"})
    assert world.mailjet("POST", f"sender/*@{DOMAIN}/validate")["ValidationMethod"] == ""
    check = world.mailjet("POST", f"dns/{DOMAIN}/check")["Data"][0]
    assert (check["DKIMStatus"], check["SPFStatus"]) == ("Error", "Not found")
