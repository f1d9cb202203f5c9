"""The page without a browser: what it shows, and whom it refuses."""

from __future__ import annotations

import html as markup
import json
import re
import sqlite3
from email.message import EmailMessage
from pathlib import Path

import pytest
import requests

from emulators.mailjet.letters import Letters
from emulators.mailjet.state import MailjetState
from emulators.mailjet.switches import Switches
from emulators.page.agent_view import AgentList
from emulators.page.letter_view import LetterView
from emulators.page.purposes import is_ours, purpose
from emulators.page.request_view import PAGE, Filter, page_of
from emulators.request_log import RequestLog
from tests.unit.page import chromium
from tests.unit.page.conftest import BOB, World, letter
from tests.waiting import wait_until

SECTIONS = ["", "write", "agents", "dns", "requests", "faults"]


def plain_text(answer: requests.Response) -> str:
    return " ".join(markup.unescape(answer.text).split())


def plain(answer: requests.Response) -> str:
    assert answer.status_code == 200, answer.text
    return plain_text(answer)


class TestWhoIsRefused:
    @pytest.mark.parametrize(
        "host", ["evil.example", "127.0.0.1", "evil.example:{port}", "[::1]:{port}", "localhost.evil.example:{port}"]
    )
    def test_another_name_that_leads_here(self, world: World, host: str) -> None:
        port = world.page.rstrip("/").rpartition(":")[2]
        answer = world.get(headers={"Host": host.format(port=port)})
        assert answer.status_code == 403
        assert "answers to no other name" in answer.text

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://127.0.0.1:1"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    @pytest.mark.parametrize(
        "path", ["write", "faults/mailjet", "faults/none", "faults/preset", "faults/switches", "mail/1/again"]
    )
    def test_another_sites_form(self, world: World, path: str, headers: dict[str, str]) -> None:
        answer = world.post(path, {"to": BOB, "from": "a@b.example"}, headers=headers)
        assert answer.status_code == 403
        assert not world.webhook.calls

    def test_names_are_not_told_by_another_site(self, world: World) -> None:
        answer = requests.put(
            world.page + "agents", json={"agents": []}, headers={"Origin": "https://evil.example"}, timeout=10
        )
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
    )
    def test_the_control_plane_is_no_other_sites_either(self, world: World, headers: dict[str, str]) -> None:
        answer = requests.post(f"{world.mailjet}/_emulator/reset", headers=headers, timeout=10)
        assert answer.status_code == 403
        assert BOB in world.get("agents").text

    @pytest.mark.parametrize("path", SECTIONS)
    def test_nothing_comes_from_elsewhere_and_no_script_but_ours_runs(self, world: World, path: str) -> None:
        answer = world.get(path)
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert all(
            target.startswith(("/", "#")) for target in re.findall(r'(?:src|href|action)="([^"]*)"', answer.text)
        )


class TestMail:
    def test_a_mail_from_outside_and_its_way(self, world: World) -> None:
        fields = {
            "to": BOB,
            "from": "ada@example.com",
            "name": "Ada",
            "subject": "<script>alert(1)</script>",
            "text": "Hi Bob",
        }
        answer = world.post("write", fields)
        assert "It was taken in." in plain(answer)
        assert "<script>alert" not in answer.text
        (call,) = wait_until(lambda: world.webhook.calls)
        assert (call.payload["From"], call.payload["Text-part"]) == ('"Ada" <ada@example.com>', "Hi Bob\r\n")
        shown = plain(world.get(f"mail/{world.settled()['id']}"))
        assert "Came from outside by SMTP" in shown
        assert "Delivered to the webhook" in shown
        assert "owner:***@" in shown
        assert "hush" not in shown
        assert "delivered to the webhook: 200" in plain(world.get())

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"to": "nobody@agents.example"}, "User unknown"),
            ({"to": "no address"}, "'no address' is no address"),
            ({"from": ""}, "no address"),
        ],
    )
    def test_what_cannot_be_taken_in_is_said(self, world: World, fields: dict[str, str], said: str) -> None:
        answer = world.post("write", {"to": BOB, "from": "a@b.example", "subject": "kept", **fields})
        assert answer.status_code == 400
        assert said in markup.unescape(answer.text)
        assert 'value="kept"' in answer.text

    def test_a_failure_is_shown_and_it_can_be_delivered_again(self, world: World) -> None:
        world.webhook.answers.extend([503, 200])
        world.webhook.says = "<b>the database is away</b>, http://u:topsecret@127.0.0.1/"
        world.arrives(letter())
        key = world.settled()["id"]
        shown = plain(world.get(f"mail/{key}"))
        assert "Posted to the webhook" in shown
        assert "503 (status 503)" in shown
        assert "<b>the database is away</b>, http://u:***@127.0.0.1/" in shown
        answer = world.post(f"mail/{key}/again")
        assert "on its way to the webhook again" in plain(answer)
        wait_until(lambda: len(world.webhook.calls) == 3)
        assert len(world.get("letters?after=0").json()["letters"]) == 1

    def test_a_first_mail_is_one_press(self, world: World) -> None:
        form = dict(re.findall(r'<input id="[a-z]+" name="([a-z]+)"[^>]* value="([^"]*)"', world.get("write").text))
        assert form["to"] == BOB
        assert "It was taken in." in plain(world.post("write", form))
        assert world.settled()["subject"] == form["subject"]

    def test_search_agent_and_pages(self, world: World) -> None:
        for number in range(55):
            world.arrives(letter(f"number {number}"))
        first = world.get()
        assert first.text.count("data-mail=") == 50
        older = markup.unescape(first.text).partition('id="older" href="/')[2].partition('"')[0]
        assert world.get(older).text.count("data-mail=") == 5
        assert world.get("?q=NUMBER+17").text.count("data-mail=") == 1
        assert world.get(f"?agent={BOB.upper()}&q=number+1").text.count("data-mail=") == 15
        assert "No mail is like that" in world.get("?agent=nobody@agents.example").text

    def test_a_thread(self, world: World) -> None:
        world.arrives(letter("One", Message_ID="<1@example.com>"))
        world.arrives(letter("Re: One", Message_ID="<2@example.com>", In_Reply_To="<1@example.com>"))
        world.arrives(
            letter("Re: Re: One", In_Reply_To="<2@example.com>", References="<1@example.com> <2@example.com>")
        )
        world.arrives(letter("Other"))
        shown = plain(world.get(f"mail/{world.get('letters?after=0').json()['letters'][0]['id']}"))
        thread = shown.partition("Thread</h2>")[2].partition("</ol>")[0]
        assert thread.count("<li") == 3
        assert "Other" not in thread

    def test_html_can_do_nothing_and_has_its_pictures(self, world: World) -> None:
        message = letter(html='<img src="cid:dot"><script>1</script>')
        body = message.get_body(("html",))
        assert isinstance(body, EmailMessage)
        body.add_related(b"GIF89a", maintype="image", subtype="gif", cid="<dot>", filename="../dot.gif")
        world.arrives(message)
        key = world.settled()["id"]
        answer = world.get(f"mail/{key}/html")
        assert answer.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
        assert "data:image/gif;base64,R0lGODlh" in answer.text
        file = world.get(f"mail/{key}/files/0")
        assert file.content == b"GIF89a"
        assert file.headers["Content-Disposition"] == "attachment; filename*=utf-8''dot.gif"
        assert file.headers["Content-Type"] == "application/octet-stream"
        assert world.get(f"mail/{key}/files/1").status_code == 404
        assert world.get(f"mail/{key}/source").content.startswith(b"From: Ada")

    def test_any_octets_can_be_looked_at(self) -> None:
        deep = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 3_000
        for octets in (b"", b"\xff\x00", deep, b"Content-Type: text/html; charset=x\r\n\r\n\xe9"):
            view = LetterView(octets)
            assert isinstance(view.text + view.html + view.source + view.signed_by, str)
            assert len(view.files) < 300
            assert isinstance(view.headers, list)


class TestSections:
    def test_who_is_who(self, world: World) -> None:
        told = {"agents": [{"id": "id-7", "name": "Bob <b>", "address": BOB}]}
        assert requests.put(world.page + "agents", json=told, timeout=10).status_code == 204
        world.arrives(letter())
        assert ">Bob &lt;b&gt;</td>" in world.get("agents?q=bob").text
        assert "id-7" in world.get("agents").text
        assert "No agent is like that" in world.get("agents?q=carol").text
        assert "Bob &lt;b&gt;" in world.get().text
        assert (
            world.get("?agent=bob+<B>").text.count("data-mail=")
            == world.get("?agent=id-7").text.count("data-mail=")
            == 1
        )
        assert "No mail is like that" in world.get("?agent=carol").text

    def test_ten_thousand_agents_come_in_pages(self) -> None:
        state = MailjetState(sqlite3.connect(":memory:", isolation_level=None), api_key="k", api_secret="s")
        key = state.api_keys()[0].id
        rows = [(key, f"agent{number}@a.example", "http://u:p@127.0.0.1/x", 0) for number in range(10_000)]
        state.db.executemany("INSERT INTO parseroute (apikey_id, email, url, is_auto) VALUES (?, ?, ?, ?)", rows)
        agents = AgentList(state.db, Letters(state))
        agents.replace([(email, f"id-{number}", f"Name {number}") for number, (_, email, _, _) in enumerate(rows)])
        page, total = agents.page("", skip=9_950)
        assert (len(page), total) == (50, 10_000)
        assert [one.address for one in agents.page("id-9999", skip=0)[0]] == ["agent9999@a.example"]
        assert agents.page("name 9999", skip=0)[0][0].url == "http://u:***@127.0.0.1/x"
        assert len(agents.some()) == 200

    @pytest.mark.slow
    def test_a_hundred_thousand_requests_come_in_pages(self) -> None:
        logs = {"mailjet": RequestLog(), "cloudflare": RequestLog()}
        for number in range(50_000):
            for name, log in logs.items():
                log.add("GET", f"/{name}/{number}", "", "/{id}", b"")
        rows, more = page_of(logs, Filter(), skip=0)
        assert (len(rows), more) == (PAGE, True)
        assert {one.entry.n for one in rows} == set(range(50_000 - PAGE // 2 + 1, 50_001))
        rows, more = page_of(logs, Filter(text="/49999", service="cloudflare"), skip=0)
        assert ([one.entry.path for one in rows], more) == (["/cloudflare/49999"], False)
        assert logs["mailjet"].entry(17) is not None

    def test_requests_and_their_bodies_without_secrets(self, world: World) -> None:
        body = {"Email": "x@agents.example", "Url": "http://u:topsecret@127.0.0.1:9/x"}
        requests.post(f"{world.mailjet}/v3/REST/parseroute", json=body, auth=world.auth, timeout=10)
        shown = plain(world.get("requests?q=parseroute&method=POST&service=mailjet"))
        assert "POST /v3/REST/parseroute" in shown
        path = shown.rpartition('href="/requests/mailjet/')[2].partition('"')[0]
        one = plain(world.get(f"requests/mailjet/{path}"))
        assert "x@agents.example" in one or "bob@agents.example" in one
        assert "topsecret" not in shown + one
        assert world.get("requests/mailjet/999999").status_code == 404
        assert world.get("requests/other/1").status_code == 404

    def test_faults_are_switched_on_and_off(self, world: World) -> None:
        fields = {
            "latency_ms": "1.5",
            "requests": "100",
            "seconds": "1",
            "kind": "503",
            "percent": "100",
            "path": "/v3/REST/sender",
        }
        assert "503 for 100 % of * /v3/REST/sender" in plain(world.post("faults/mailjet", fields))
        assert requests.get(f"{world.mailjet}/v3/REST/sender", auth=world.auth, timeout=10).status_code == 503
        assert "503" in plain(world.get("requests?failed=1&q=sender"))
        answer = world.post("faults/mailjet", {"latency_ms": "", "kind": ""})
        assert "Failures that are on" not in answer.text
        assert requests.get(f"{world.mailjet}/v3/REST/sender", auth=world.auth, timeout=10).status_code == 200
        assert world.post("faults/mailjet", {"latency_ms": "x"}).status_code == 400
        assert world.post("faults/mailjet", {"requests": "-1"}).status_code == 400
        assert world.post("faults/other").status_code == 404
        assert "Mailjet works again." in plain(world.post("faults/mailjet", {"clear": "1"}))

    def test_a_ready_made_fault_is_one_press(self, world: World) -> None:
        def sender() -> int:
            return requests.get(f"{world.mailjet}/v3/REST/sender", auth=world.auth, timeout=10).status_code

        before = re.findall(r"(\d+) faults are on", world.get().text)
        world.post("faults/mailjet", {"latency_ms": "1"})
        for name, status in (("down", 503), ("key", 401)):
            answer = world.post("faults/preset", {"preset": name, "on": "1"})
            assert re.search(rf'id="preset-{name}"[^>]*aria-checked="true"', answer.text)
            assert sender() == status
            assert re.findall(r"(\d+) faults are on", world.get("dns").text) == [str(int(before[0]) + 2)]
            off = world.post("faults/preset", {"preset": name, "on": "0"})
            assert re.search(rf'id="preset-{name}"[^>]*aria-checked="false"', off.text)
            assert sender() == 200
        faults = requests.get(f"{world.mailjet}/_emulator/faults", timeout=10).json()
        assert (faults["latency_ms"], faults["rules"]) == (1, []), "what else was on stays"
        assert world.post("faults/preset", {"preset": "nothing"}).status_code == 404
        assert "Everything works again." in plain(world.post("faults/none"))
        assert "faults are on" not in world.get().text
        assert requests.get(f"{world.mailjet}/_emulator/faults", timeout=10).json()["latency_ms"] == 0

    def test_mailjets_switches_are_switched(self, world: World) -> None:
        shown = world.get("faults").text
        for name in Switches.model_fields:
            assert f"<code>{name}</code>" in shown
        form = dict(re.findall(r'<input id="([a-z_]+)"[^>]* value="([^"]*)"', shown))
        form |= {
            "plus_addresses": "1",
            "not_found": "html",
            "dns_lag": "2",
            "smtp_replies.DATA": "451 later",
            "retry_seconds": "0.5",
        }
        assert "Mailjet does as you said." in plain(world.post("faults/switches", form))
        played = requests.get(f"{world.mailjet}/_emulator/switches", timeout=10).json()
        wanted = {
            "plus_addresses": True,
            "not_found": "html",
            "dns_lag": 2,
            "retry_seconds": 0.5,
            "smtp_replies": {"DATA": "451 later"},
        }
        assert {name: played[name] for name in wanted} == wanted
        assert played["parse_in_plan"] is False, "what a form does not tick is off"
        refused = world.post("faults/switches", form | {"dns_lag": "many"})
        assert refused.status_code == 400
        assert "dns_lag is 'many', expected: input should be a valid integer" in plain_text(refused)
        assert "Mailjet is as documented." in plain(world.post("faults/switches", {"clear": "1"}))
        assert requests.get(f"{world.mailjet}/_emulator/switches", timeout=10).json() == Switches().model_dump()

    def test_the_zone(self, world: World) -> None:
        shown = plain(world.get("dns"))
        assert "DNS of agents.example" in shown
        assert "No domain is known to Mailjet yet." in shown

    def test_the_stream_says_what_has_changed(self, world: World) -> None:
        with world.get("events", stream=True) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            while next(lines) != b"event: hello":
                pass
            world.arrives(letter())
            while next(lines) != b"event: changed":
                pass
            assert "mail" in json.loads(next(lines).removeprefix(b"data: "))


@pytest.mark.parametrize(
    ("kind", "name", "content", "word"),
    [
        ("MX", "a.example", "parse.mailjet.com.", "Parse API"),
        ("MX", "a.example", "mx.b.example", "that host"),
        ("TXT", "a.example", '"v=spf1 -all"', "SPF"),
        ("TXT", "_dmarc.a.example", '"v=DMARC1; p=none"', "DMARC"),
        ("TXT", "mailjet._domainkey.a.example", '"k=rsa"', "Mailjet signs"),
        ("TXT", "x._domainkey.a.example", '"k=rsa"', "another"),
        ("TXT", "mailjet._0123.a.example", '"0123"', "Proves"),
        ("TXT", "_smtp._tls.a.example", '"v=TLSRPTv1"', "TLS-RPT"),
        ("CNAME", "api.a.example", "x.cfargotunnel.com", "tunnel"),
        ("A", "www.a.example", "192.0.2.1", ""),
    ],
)
def test_what_a_record_is_for(kind: str, name: str, content: str, word: str) -> None:
    assert word in purpose(kind, name, content)
    assert bool(word) is bool(purpose(kind, name, content))


def test_ours_are_marked_by_their_comment() -> None:
    assert is_ours("managed by pulumi: agentmail-dev")
    assert not is_ours("by hand")
    assert not is_ours(None)


def test_what_is_said_where_no_chromium_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert chromium.missing().endswith("get it with: apt-get install chromium")
    (tmp_path / "google-chrome").touch(mode=0o755)
    monkeypatch.setattr(chromium, "PACKAGES", ("no_such_package",))
    assert chromium.missing().endswith("get it with: make test-unit")
    monkeypatch.setattr(chromium, "PACKAGES", ("pytest",))
    assert chromium.missing() == ""
