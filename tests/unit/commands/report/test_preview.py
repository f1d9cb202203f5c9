"""The digest: by name, deletions on top, never too long for a comment."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.report.digest import MARKDOWN_LIMIT, as_markdown, as_text, headline
from commands.report.preview import PreviewUnreadableError, read_preview
from commands.report.summary import WIDTH, summary
from tests.unit.azmail.conftest import packed_mailboxes

ROUTES = "urn:pulumi:dev::agentmail::azt3knet:mail:AgentMailboxes$pulumi-python:dynamic/mailjet:InboundRoutes::agents-routes-"
RECORD = "urn:pulumi:dev::agentmail::azt3knet:mail:MailDomain$cloudflare:index/dnsRecord:DnsRecord::mail-"
URL = "[secret]"
Addresses = dict[str, str]


def routes(
    bucket: int,
    old: Addresses | None,
    new: Addresses | None,
    *,
    old_url: str = URL,
    new_url: str = URL,
    op: str | None = None,
) -> dict[str, Any]:
    def state(addresses: Addresses, url: str) -> dict[str, Any]:
        return {"type": "x", "inputs": {"routes": json.dumps(addresses), "route_url": url}}

    step: dict[str, Any] = {"urn": f"{ROUTES}{bucket:02d}"}
    if old is not None:
        step["oldState"] = state(old, old_url)
    if new is not None:
        step["newState"] = state(new, new_url)
    default = (
        "create"
        if old is None
        else "delete"
        if new is None
        else "same"
        if (old, old_url) == (new, new_url)
        else "update"
    )
    return {**step, "op": op or default}


def record(key: str, op: str, old: dict[str, Any] | None = None, new: dict[str, Any] | None = None) -> dict[str, Any]:
    step: dict[str, Any] = {"urn": RECORD + key, "op": op}
    for name, inputs in (("oldState", old), ("newState", new)):
        if inputs is not None:
            step[name] = {"type": "cloudflare:index/dnsRecord:DnsRecord", "inputs": inputs}
    return step


def document(*steps: dict[str, Any], diagnostics: Sequence[dict[str, str]] = ()) -> str:
    return json.dumps({"config": {}, "steps": list(steps), "diagnostics": list(diagnostics), "changeSummary": {}})


class TestMailboxes:
    def test_one_added_in_a_bucket_of_three(self) -> None:
        changes = read_preview(
            document(
                routes(1, {"a": "a@x", "b": "b@x"}, {"a": "a@x", "b": "b@x", "c": "c@x"}),
                routes(2, {"d": "d@x"}, {"d": "d@x"}),
            )
        )
        assert changes.mailboxes_added == {"c": "c@x"}
        assert not changes.mailboxes_removed
        assert changes.routes_rewritten == 0
        assert headline(changes) == "dev: 1 mailbox added."

    def test_a_new_and_a_vanished_bucket(self) -> None:
        changes = read_preview(document(routes(1, None, {"a": "a@x"}), routes(2, {"b": "b@x"}, None)))
        assert (changes.mailboxes_added, changes.mailboxes_removed) == ({"a": "a@x"}, {"b": "b@x"})

    def test_a_changed_address_is_a_rename(self) -> None:
        [move] = read_preview(document(routes(1, {"a": "a@x"}, {"a": "b@x"}))).mailboxes_moved
        assert (move.agent_id, move.old, move.new) == ("a", "a@x", "b@x")

    def test_a_rotated_secret_rewrites_without_moving_anybody(self) -> None:
        changes = read_preview(document(routes(1, {"a": "a@x", "b": "b@x"}, {"a": "a@x", "b": "b@x"}, op="update")))
        assert changes.routes_rewritten == 2
        assert headline(changes) == "dev: 2 routes given a new URL."

    def test_nothing(self) -> None:
        changes = read_preview(document(routes(1, {"a": "a@x"}, {"a": "a@x"}), record("spf", "same", {}, {})))
        assert changes.is_empty
        assert headline(changes) == "No changes: dev stays as it is."

    @given(
        st.dictionaries(st.text(min_size=1), st.text(min_size=1)),
        st.dictionaries(st.text(min_size=1), st.text(min_size=1)),
    )
    def test_any_two_books(self, old: Addresses, new: Addresses) -> None:
        changes = read_preview(document(routes(1, old, new)))
        after = {**old, **changes.mailboxes_added, **{move.agent_id: move.new for move in changes.mailboxes_moved}}
        for agent in changes.mailboxes_removed:
            del after[agent]
        assert after == new


MX = {"type": "MX", "name": "x.example", "content": "parse.mailjet.com", "priority": 10.0}


class TestRecords:
    def test_added_removed_and_changed_by_name_and_value(self) -> None:
        text = as_text(
            read_preview(
                document(
                    record("mx-1", "create", new=MX),
                    record("old", "delete", old={**MX, "content": "old.example"}),
                    record(
                        "spf",
                        "update",
                        old={"type": "TXT", "name": "x.example", "content": "a"},
                        new={"type": "TXT", "name": "x.example", "content": "b"},
                    ),
                )
            )
        )
        assert "MX    x.example  10 parse.mailjet.com" in text
        assert "MX    x.example  10 old.example" in text
        assert "TXT   x.example  a -> b" in text
        assert text.index("Records removed (1)") < text.index("Records changed (1)") < text.index("Records added (1)")

    def test_values_that_only_the_up_will_know(self) -> None:
        assert "(value known after the sender domain exists)" in as_text(
            read_preview(document(record("dkim", "create", new={"type": "TXT"})))
        )


class TestMarkdown:
    def test_never_longer_than_a_comment_may_be(self) -> None:
        many = {f"agent-{number:05d}": f"{number}`*_@x.example" for number in range(10_000)}
        text = as_markdown(read_preview(document(routes(1, many, {}))))
        assert len(text) < MARKDOWN_LIMIT
        assert "Mailboxes removed (10000)" in text
        assert "… and 9980 more" in text

    def test_long_items_shorten_the_lists(self) -> None:
        steps = [record(f"r{n}", "create", new={"type": "TXT", "name": "x" * 4000, "content": "y"}) for n in range(30)]
        assert len(as_markdown(read_preview(document(*steps)))) <= MARKDOWN_LIMIT

    def test_a_name_cannot_break_out_of_its_code(self) -> None:
        assert "`` a`b@x  agent a ``" in as_markdown(read_preview(document(routes(1, {}, {"a": "a`b@x"}))))


class TestDiagnostics:
    def test_errors_lead(self) -> None:
        changes = read_preview(
            document(
                diagnostics=[
                    {"severity": "error", "message": "the guard says no"},
                    {"severity": "warning", "message": "w"},
                ]
            )
        )
        assert headline(changes).startswith("The preview of the stack failed")
        assert "the guard says no" in as_text(changes)


BRIDGE = (
    'error: [ERROR] GET "https://api.cloudflare.com/client/v4/accounts/a/cfd_tunnel/t/token": 403 Forbidden '
    '{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}'
)
OURS = "Cloudflare does not show the token of the tunnel 'agentmail-dev' to this API token, code 10000; expected more"
HOST = "error: an unhandled error occurred: Program exited with non-zero exit code: 1"


def said(*messages: str) -> list[dict[str, str]]:
    return [
        {"severity": "warning" if message.startswith("Cloudflare does") else "error", "message": message}
        for message in messages
    ]


class TestOfficialParts:
    """The official plugin logs every refusal as an error, and the official host adds one to every failed program."""

    def test_a_preview_that_ends_with_0_is_no_failure(self) -> None:
        changes = read_preview(document(diagnostics=said(BRIDGE, OURS)), status=0)
        assert (changes.errors, changes.warnings) == ([], [OURS])
        assert headline(changes) == "No changes: the stack stays as it is."

    def test_what_was_tolerated_without_a_word_of_ours_is_a_warning(self) -> None:
        changes = read_preview(document(diagnostics=said(BRIDGE)), status=0)
        assert (changes.errors, changes.warnings) == ([], [BRIDGE.removeprefix("error: ")])

    def test_one_sentence_in_a_failure(self) -> None:
        reason = "Cloudflare rejected the API token while listing the zone"
        found = read_preview(document(diagnostics=said(BRIDGE, reason, HOST, "error: preview failed")), status=255)
        assert found.errors == [reason]

    def test_the_plugin_s_words_where_there_are_no_others(self) -> None:
        found = read_preview(document(diagnostics=said(BRIDGE, "error: preview failed")), status=255)
        assert found.errors == [BRIDGE.removeprefix("error: ")]

    def test_a_failure_without_any_reason_is_one(self) -> None:
        assert headline(read_preview(document(), status=255)).startswith("The preview of the stack failed")


UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
MAILBOXES = "urn:pulumi:dev::agentmail::azt3knet:mail:AgentMailboxes::agents"


def settings(old: dict[str, Any] | None, new: dict[str, Any] | None, op: str | None = "update") -> dict[str, Any]:
    return {"urn": MAILBOXES, "op": op, "oldState": {"inputs": old}, "newState": {"inputs": new}}


class TestKnownLater:
    def test_no_uuid_for_names_and_values(self) -> None:
        text = as_text(
            read_preview(
                document(
                    record("dkim", "create", new={"type": "TXT", "name": UNKNOWN, "content": UNKNOWN}),
                    record("quoted", "create", new={"type": "TXT", "name": "x.example", "content": f'"{UNKNOWN}"'}),
                    record("cname", "create", new={"type": "CNAME", "name": "api.x.example", "content": UNKNOWN}),
                    record(
                        "moved",
                        "update",
                        old={"type": "CNAME", "name": "b.x.example", "content": "old.cfargotunnel.com"},
                        new={"type": "CNAME", "name": "b.x.example", "content": UNKNOWN},
                    ),
                )
            )
        )
        assert UNKNOWN[:8] not in text
        assert "TXT   (name known after the sender domain exists)  (value known after the sender domain exists)" in text
        assert "CNAME api.x.example  (value known after the tunnel exists)" in text
        assert "CNAME b.x.example  old.cfargotunnel.com -> (known after the tunnel exists)" in text


BEFORE = {"protected": True, "inboundAuth": "basic", "webhookUrl": "https://api.x.example/in"}


class TestSettings:
    @pytest.mark.parametrize(
        ("change", "line"),
        [
            ({"protected": False}, "protected: true -> false"),
            ({"inboundAuth": "none"}, "inboundAuth: basic -> none"),
            (
                {"webhookUrl": "https://b.x.example/in"},
                "webhookUrl: https://api.x.example/in -> https://b.x.example/in",
            ),
        ],
    )
    def test_what_a_reviewer_must_know(self, change: dict[str, object], line: str) -> None:
        changes = read_preview(document(settings(BEFORE, {**BEFORE, **change})))
        assert not changes.is_empty
        assert headline(changes) == "dev: 1 setting changed."
        assert line in as_text(changes)

    @pytest.mark.parametrize(
        ("old", "new", "line"),
        [
            ({"mailjetApiSecret": "aa"}, {"mailjetApiSecret": "bb"}, "the last up's value -> another value"),
            ({}, {"mailjetApiSecret": "bb"}, "not in the configuration -> a value"),
            ({"mailjetApiSecret": "aa"}, {}, "the last up's value -> not in the configuration"),
        ],
    )
    def test_a_changed_credential_is_named_without_its_mark(
        self, old: dict[str, str], new: dict[str, str], line: str
    ) -> None:
        step = settings({**BEFORE, "credentials": old}, {**BEFORE, "credentials": new})
        changes = read_preview(document(step))
        assert headline(changes) == "dev: 1 setting changed."
        assert f"mailjetApiSecret: {line}" in as_text(changes)
        assert "aa" not in as_text(changes)
        assert "bb" not in as_text(changes)

    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ({"mailjetApiKey": "aa"}, {"mailjetApiKey": "bb"}, ["mailjetApiKey"]),
            ({}, {"mailjetApiKey": "bb"}, ["Mailjet account", "mailjetApiKey"]),
            ({"cloudflare:apiToken": "aa"}, {"cloudflare:apiToken": "bb"}, ["Mailjet account", "cloudflare:apiToken"]),
            ({}, {}, ["Mailjet account"]),
        ],
    )
    def test_another_key_of_mailjets_is_told_once(
        self, old: dict[str, str], new: dict[str, str], told: list[str]
    ) -> None:
        """By its mark where the configuration names it, by the account where the environment does."""
        step = settings({**BEFORE, "credentials": old}, {**BEFORE, "credentials": new})
        same: dict[str, Any] = {"inputs": {"mailboxes": {}}}
        book = {
            "urn": "urn:pulumi:dev::agentmail::pulumi-python:dynamic/mailjet:AddressBook::agents-book",
            "op": "update",
        }
        changes = read_preview(document({**book, "oldState": same, "newState": same}, step))
        assert [setting.name for setting in changes.settings] == told

    def test_credentials_of_a_stack_of_before_and_of_a_new_one_are_no_change(self) -> None:
        told = {**BEFORE, "credentials": {"mailjetApiSecret": "aa"}}
        assert read_preview(document(settings(BEFORE, told))).is_empty
        assert "mailjetApiSecret" not in as_text(read_preview(document(settings({}, told, op="create"))))

    def test_a_new_stack_says_where_its_routes_lead(self) -> None:
        changes = read_preview(document(routes(1, None, {"a": "a@x"}), settings({}, BEFORE, op="create")))
        assert "webhookUrl: https://api.x.example/in" in as_text(changes)

    def test_a_stack_of_before_has_not_changed(self) -> None:
        assert read_preview(document(settings({}, BEFORE))).is_empty

    def test_a_record_says_which_properties_change(self) -> None:
        step = record("spf", "update", old={**MX, "ttl": 300}, new={**MX, "ttl": 600})
        assert "10 parse.mailjet.com  (ttl)" in as_text(read_preview(document({**step, "detailedDiff": {"ttl": {}}})))


@pytest.mark.parametrize("text", ["", "error: no stack", "{broken", "[]", '{"a": 1}'])
def test_what_is_no_preview(text: str) -> None:
    with pytest.raises(PreviewUnreadableError, match="The preview is"):
        read_preview(text)


OUTPUTS = {
    "domain": "dev.agents.example",
    "mailboxCount": 7,
    "dkimStatus": "OK",
    "spfStatus": "OK",
    "tunnelHostname": "api-dev.agents.example",
    "webhookUrl": "https://api-dev.agents.example/in",
    "expectedRecords": [
        {"type": "MX", "name": "dev.agents.example", "priority": 10, "content": "parse.mailjet.com", "why": "Inbound."},
        {"type": "TXT", "name": "k.dev.agents.example", "content": "x" * 300, "why": "A key."},
    ],
    "mailboxes": packed_mailboxes(
        {"smtp_host": "mail-gateway", "smtp_port": 587, "inbound_url": "", "inbound_secret": ""},
        {str(n): f"{n}@dev.agents.example" for n in range(7)},
        {str(n): "hunter2" for n in range(7)},
    ),
}


class TestSummary:
    def test_what_it_shows(self) -> None:
        page = summary(OUTPUTS, stack="dev", names={"0": "Ada", "2": "María José"})
        assert "dev.agents.example: 7 mailboxes, stack dev" in page
        assert "MX    dev.agents.example  10 parse.mailjet.com\n        Inbound." in page
        assert "4@dev.agents.example\n  … and 2 more: ./mail agents list --stack dev" in page
        assert "  Ada         0\n              0@dev.agents.example" in page
        assert "show-secrets" not in page, "a credential is no next step"
        assert "hunter2" not in page
        assert max(map(len, page.splitlines())) <= WIDTH

    def test_without_a_tunnel(self) -> None:
        narrow = summary(OUTPUTS, stack="dev", names={}, columns=40).splitlines()
        assert all(len(line) <= 40 for line in narrow if line.startswith(("  MX", "  TXT", "  CNAME")))
        assert "Tunnel " not in summary({**OUTPUTS, "tunnelHostname": ""}, stack="dev", names={})
