"""Deletions above a threshold fail the digest unless the switch names them exactly; the comment stays a comment."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.cli.running import main
from commands.deployment import Looked, Wanted, report
from commands.errors import ProtectedError
from commands.report.digest import LONGEST_TEXT, MARKDOWN_LIMIT, as_markdown, as_text, marker
from commands.report.preview import Allowances, Changes, RecordChange, read_preview
from commands.report.protection import protected_names
from commands.report.thresholds import RECORDS_REMOVED, refusals
from commands.stack_commands import PulumiFailedError
from mailboxes.packed_map import packed

BOOK = "urn:pulumi:prod::agentmail::azt3knet:mail:AgentMailboxes$pulumi-python:dynamic/mailjet:AddressBook::agents-book"
ROUTES = "urn:pulumi:prod::agentmail::azt3knet:mail:AgentMailboxes$pulumi-python:dynamic/mailjet:InboundRoutes::agents-routes-01"
RECORD = "urn:pulumi:prod::agentmail::azt3knet:mail:MailDomain$cloudflare:index/dnsRecord:DnsRecord::"


def book(old: dict[str, str], new: dict[str, str], **limits: object) -> dict[str, Any]:
    """As the program declares it: packed."""

    def state(addresses: dict[str, str]) -> dict[str, Any]:
        return {"inputs": {"addresses": packed(addresses), **limits}}

    return {"urn": BOOK, "op": "update", "oldState": state(old), "newState": state(new)}


def test_what_agents_may_do_is_told_by_name() -> None:
    step = book({"a": "ana@x", "b": "bo@x"}, {"a": "ana@x", "b": "bo@x", "c": "cy@x"})
    step["oldState"]["inputs"]["policies"] = '{"a":{"credential_epoch":1},"b":{"credential_epoch":1}}'
    step["newState"]["inputs"]["policies"] = (
        '{"a":{"credential_epoch":2},"b":{"credential_epoch":1},"c":{"limits":[["messages_an_hour",5]]}}'
    )
    changes = read_preview(json.dumps({"config": {}, "steps": [step], "diagnostics": []}))
    assert not changes.is_empty
    text = as_text(changes)
    assert "2 agents allowed something else" in text
    assert "  ana@x: credential_epoch 1 -> credential_epoch 2  agent a\n" in text
    assert "  cy@x: nothing special -> messages_an_hour 5  agent c\n" in text
    assert "agent b" not in text


def routes(old: dict[str, str], new: dict[str, str]) -> dict[str, Any]:
    def state(addresses: dict[str, str]) -> dict[str, Any]:
        return {"inputs": {"routes": json.dumps(addresses), "route_url": "[secret]"}}

    return {"urn": ROUTES, "op": "update", "oldState": state(old), "newState": state(new)}


def removed_record(name: str) -> dict[str, Any]:
    fields = {"type": "MX", "name": "mail.agents.example", "content": "x.example", "priority": 10.0}
    return {
        "urn": RECORD + name,
        "op": "delete",
        "oldState": {"type": "cloudflare:index/dnsRecord:DnsRecord", "inputs": fields},
    }


TUNNEL = (
    "urn:pulumi:prod::agentmail::azt3knet:mail:ApiTunnel$cloudflare:index/zeroTrustTunnelCloudflared:"
    "ZeroTrustTunnelCloudflared::api-tunnel"
)


def cname(target: str, op: str) -> dict[str, Any]:
    state = {
        "type": "cloudflare:index/dnsRecord:DnsRecord",
        "inputs": {"type": "CNAME", "name": "api", "content": target},
    }
    return {"urn": f"{RECORD}api-cname", "op": op, "oldState": state, "newState": state}


def document(
    *steps: dict[str, Any], config: dict[str, str] | None = None, diagnostics: Sequence[dict[str, str]] = ()
) -> str:
    return json.dumps({"config": config or {}, "steps": list(steps), "diagnostics": list(diagnostics)})


def people(count: int) -> dict[str, str]:
    return {f"agent-{number:05d}": f"a{number}@mail.agents.example" for number in range(count)}


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str, *options: str
) -> tuple[int, str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))
    status = main(["preview", "prod", "--from", "-", *options])
    return status, capsys.readouterr().out


class TestMailboxes:
    def removal(self, before: int, kept: int, **config: str) -> Changes:
        old, new = people(before), people(kept)
        return read_preview(document(book(old, new), routes(old, new), config=config))

    def test_a_few_may_go(self) -> None:
        assert refusals(self.removal(100, 70)) == []

    def test_many_may_not(self) -> None:
        [sentence] = refusals(self.removal(100, 69))
        assert "31 of 100 mailboxes would be removed (31 %, above the limit of 30 % and 10)" in sentence
        assert "pulumi config set --stack STACK allowMassRemoval '31 of 100'" in sentence

    def test_all_may_not_however_few(self) -> None:
        [sentence] = refusals(self.removal(2, 0))
        assert "nobody of before would be left" in sentence

    def test_the_switch_takes_the_exact_number(self) -> None:
        assert refusals(self.removal(100, 50, **{"agentmail:allowMassRemoval": "50 of 100"})) == []
        assert refusals(self.removal(100, 50, **{"agentmail:allowMassRemoval": "50"}))

    def test_the_limits_are_the_books(self) -> None:
        old, new = people(100), people(80)
        text = document(book(old, new, removal_percent=10, removal_count=5), routes(old, new))
        assert "above the limit of 10 % and 5" in refusals(read_preview(text))[0]

    def test_unchanged_buckets_are_no_steps_so_the_book_tells_how_many_there_are(self) -> None:
        """Of 100 mailboxes 20 go; the only bucket among the steps had 20."""
        old, new = people(100), people(80)
        gone = {agent: address for agent, address in old.items() if agent not in new}
        assert refusals(read_preview(document(book(old, new), routes(gone, {})))) == []


class TestRecords:
    def test_up_to_the_threshold(self) -> None:
        steps = [removed_record(f"mail-r{number}") for number in range(RECORDS_REMOVED)]
        assert refusals(read_preview(document(*steps))) == []

    def test_beyond_it(self) -> None:
        changes = read_preview(document(*(removed_record(f"mail-r{number}") for number in range(6))))
        [sentence] = refusals(changes)
        assert "6 DNS records would be deleted" in sentence
        assert "the label 'allow-record-removals: 6'" in sentence
        assert refusals(changes, allowed_record_removals=6) == []
        assert refusals(changes, allowed_record_removals=7)

    def test_somebody_elses_need_the_consent_of_adopt(self) -> None:
        text = document(removed_record("superseded-mx-1"))
        [sentence] = refusals(read_preview(text))
        assert "./mail adopt prod --replace-mx" in sentence
        agreed = document(removed_record("superseded-mx-1"), config={"agentmail:replaceForeignMx": "true"})
        assert refusals(read_preview(agreed)) == []


class TestDrift:
    def test_what_a_refresh_looked_at_is_no_change(self) -> None:
        seen = people(3)
        looked = {**routes(seen, seen), "op": "refresh"}
        found = {**routes({"agent-00000": seen["agent-00000"]}, seen)}
        changes = read_preview(document(looked, found))
        assert changes.mailboxes_added == {agent: seen[agent] for agent in ("agent-00001", "agent-00002")}

    def test_the_status_says_drift(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        old: dict[str, str] = {}
        new = people(2)
        status, said = run(monkeypatch, capsys, document(routes(old, new)), "--drift")
        assert status == 2
        assert said.startswith("prod has drifted; an up would put back: 2 mailboxes added.")

    def test_none(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        status, said = run(monkeypatch, capsys, document(), "--drift")
        assert (status, said) == (0, "No drift: prod is as it should be.\n")

    def test_a_failure_is_no_drift(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        text = document(diagnostics=[{"severity": "error", "message": "error: no token"}])
        assert run(monkeypatch, capsys, text, "--drift")[0] == 1


class TestCommandLine:
    def test_refused(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        old, new = people(100), people(10)
        status, said = run(monkeypatch, capsys, document(book(old, new), routes(old, new)))
        assert status == 1
        assert said.splitlines()[0] == "prod: 90 mailboxes removed. Refused, see below."
        assert said.index("Deletions without their switch") < said.index("Mailboxes removed (90)")

    @pytest.mark.parametrize(
        ("option", "value"),
        [("--allow-record-removals", "6"), ("--labels", '["bug", "allow-record-removals: 6"]')],
    )
    def test_the_switch_for_records(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str
    ) -> None:
        text = document(*(removed_record(f"mail-r{number}") for number in range(6)))
        assert run(monkeypatch, capsys, text)[0] == 1
        assert run(monkeypatch, capsys, text, option, value)[0] == 0

    def test_no_labels(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(monkeypatch, capsys, document(), "--labels", "[]")[0] == 0

    def test_a_preview_that_never_was_is_a_comment_too(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        failed = Looked("", "error: no stack named 'prod' found\n")
        with pytest.raises(PulumiFailedError, match="no stack named 'prod' found"):
            report(failed, Wanted("prod", tmp_path), markdown=True, note="Commit 1")
        said = capsys.readouterr().out
        assert said.startswith(marker("prod") + "\n**The preview of prod failed.**")
        assert "no stack named 'prod' found" in said
        assert "<sub>Commit 1</sub>" in said

        assert "./mail env new prod" in said
        assert "The preview is empty" not in said

    def test_an_empty_preview_is_said(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(""))
        assert main(["preview", "prod", "--from", "-"]) == 1
        assert "The preview is empty; expected" in capsys.readouterr().err

    def test_what_is_no_preview_is_said(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO("hello"))
        assert main(["preview", "prod", "--from", "-"]) == 1
        assert "The preview is 'hello'; expected" in capsys.readouterr().err

    def test_the_engines_wording_is_taken_off(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        diagnostics = [
            {
                "severity": "error",
                "message": "error: pulumi-python:x:Y resource 'agents-book' has a problem: 50 of 100 go.\n",
            },
            {"severity": "error", "message": "error: preview failed\n"},
            {"severity": "warning", "message": "warning: twice\n"},
            {"severity": "warning", "message": "warning: twice\n"},
        ]
        _, said = run(monkeypatch, capsys, document(diagnostics=diagnostics))
        assert "Errors (1)\n  50 of 100 go.\n" in said
        assert "Warnings (1)\n  twice\n" in said

    def test_how_a_protection_is_lifted(self) -> None:
        def refused(name: str) -> str:
            urn = f"urn:pulumi:prod::agentmail::azt3knet:mail:PlatformMail$x:y:Z::{name}"
            return (
                f'Preview failed: resource "{urn}" cannot be deleted\nbecause it is protected. To unprotect the resource, either '
                f"remove the `protect` flag, or use the command:\n`pulumi state unprotect '{urn}'`"
            )

        changes = Changes(stack="prod", errors=[refused("mail-spf"), "another", refused("platform-sender-a@x.example")])
        text = as_text(changes)
        assert "Errors (2)" in text
        assert "2 resources of prod are protected and cannot be deleted (mail-spf, platform-sender-a@x.example)" in text
        assert "config set --stack prod protected false && ./mail apply prod; then make the change again" in text
        assert "state unprotect" not in text
        assert "--forget" not in text
        assert "./mail adopt prod --forget" in as_text(replace(changes, errors=[refused("superseded-mx-1")]))

    def test_a_destroy_of_what_is_protected_is_refused_at_once(self) -> None:
        resources = [{"urn": "a::b::c::mail-spf", "protect": True}, {"urn": "a::b::c::other"}]
        names = protected_names({"deployment": {"resources": resources}})
        assert names == ["mail-spf"]
        assert str(ProtectedError(names, stack="prod")).startswith(
            "Nothing was destroyed: 1 resource of prod is protected and cannot be deleted (mail-spf)"
        )
        assert protected_names({"deployment": None}) == []


class TestATunnelInUse:
    """`tunnelCname` that names the stack's own tunnel, after an `up` that died before it recorded that it had made it."""

    GONE: ClassVar = {
        "urn": TUNNEL,
        "op": "delete",
        "oldState": {"id": "t-1", "type": TUNNEL.split("$")[1].split("::")[0], "inputs": {"accountId": "0a1b"}},
    }

    CONFIG: ClassVar = {"agentmail:tunnelCname": "t-1.cfargotunnel.com"}

    @pytest.mark.parametrize(
        ("steps", "config"),
        [
            ([], CONFIG),
            ([cname("t-1.cfargotunnel.com", "create")], {}),
            ([cname("t-1.cfargotunnel.com", "update")], {}),
        ],
    )
    def test_it_is_never_deleted(self, steps: list[dict[str, Any]], config: dict[str, str]) -> None:
        """A CNAME that stays as it is has no step in the engine's preview."""
        [sentence] = refusals(read_preview(document(self.GONE, *steps, config=config)))
        assert "the tunnel t-1 would be deleted while the stack's CNAME leads there" in sentence
        assert "./mail pulumi config rm --stack prod tunnelCname" in sentence
        assert sentence.endswith("./mail pulumi config set --stack prod accountId 0a1b")

    @pytest.mark.parametrize(("target", "op"), [("t-2.cfargotunnel.com", "update"), ("t-1.cfargotunnel.com", "delete")])
    def test_a_change_of_tunnels_and_a_goodbye_are_none_of_that(self, target: str, op: str) -> None:
        assert refusals(read_preview(document(self.GONE, cname(target, op)))) == []


texts = st.text(max_size=60)


class TestMarkdown:
    def test_ten_thousand_changes(self) -> None:
        many = people(10_000)
        records = [RecordChange("TXT", f"r{number}.agents.example", old="x" * 300) for number in range(10_000)]
        changes = Changes(
            stack="prod",
            mailboxes_removed=many,
            mailboxes_added=many,
            records_removed=records,
            records_added=records,
            records_changed=records,
            warnings=["w" * 10_000] * 3,
            errors=["e" * 10_000],
        )
        text = as_markdown(changes, refused=["r" * 10_000], note="Commit")
        assert len(text) < MARKDOWN_LIMIT
        assert text.startswith(marker("prod") + "\n")
        assert "Mailboxes removed (10000)" in text
        assert "… and 9980 more" in text
        assert "e" * (LONGEST_TEXT - 1) + "…" in text

    @given(errors=st.lists(texts), warnings=st.lists(texts), refused=st.lists(texts), note=texts)
    def test_no_text_breaks_out_of_its_block(
        self, errors: list[str], warnings: list[str], refused: list[str], note: str
    ) -> None:
        text = as_markdown(Changes(stack="prod", errors=errors, warnings=warnings), refused=refused, note=note)
        assert text.startswith(marker("prod") + "\n")
        fences = [line for line in text.split("\n") if set(line.removesuffix("text")) == {"`"} and len(line) >= 3]
        open_fence = None
        closed = 0
        for line in fences:
            if open_fence is None:
                assert line.endswith("text")
                open_fence = line.removesuffix("text")
            elif line == open_fence:
                open_fence, closed = None, closed + 1
        assert open_fence is None
        assert closed == len(errors[:20]) + len(warnings[:20]) + len(refused[:20])

    def test_a_table_keeps_its_lines(self) -> None:
        changes = Changes(stack="prod", errors=["2 records\n  NAME  TYPE\n  a     MX"])
        assert "```text\n2 records\n  NAME  TYPE\n  a     MX\n```" in as_markdown(changes)


def test_the_switches_are_read_from_the_previews_configuration() -> None:
    text = document(config={"agentmail:allowMassRemoval": "412 of 1000", "agentmail:replaceForeignMx": "true"})
    assert read_preview(text).switches == Allowances(mass_removal="412 of 1000", foreign_mx=True)
