"""Whoever holds an agent's credential sends as that agent, and every parser says so: a part of `tests.chaos impostors`, without a wire."""

from __future__ import annotations

import email
import json
import re
import time
import tracemalloc
from email.header import decode_header, make_header
from email.utils import parseaddr
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azmail.gateway.credentials import AgentLogin
from azmail.gateway.identity import (
    MAX_MESSAGE_OCTETS,
    LineEndError,
    MessageOffenceError,
    checked_message,
    event_payload,
    from_value,
    require_plain_lines,
)
from tests.unit.azmail.gateway.attempts import BOSS, ME, dishonest, honest
from tests.unit.azmail.gateway.parsers import is_from_nobody_else, senders_of

AGENT = AgentLogin("bot-1", ME)
ATTACKS = json.loads((Path(__file__).parents[3] / "fixtures" / "from-attacks.json").read_text())
REST = b"To: x@y.example\r\n\r\nbody\r\n"

ACCEPTED = {"upper domain", "reply-to"}
"""A domain has no case (RFC 5321, 2.4), and what leaves is the directory's spelling. Reply-To claims no identity: it says
where answers shall go, which an agent may decide."""


def judged(octets: bytes) -> bytes | None:
    """What leaves, or None for a refusal, whose words must be an SMTP answer."""
    try:
        sent = checked_message(octets, AGENT).octets
        require_plain_lines(sent)
        return sent
    except MessageOffenceError as offence:
        reply = offence.reply
    assert re.fullmatch(r"5\d\d 5\.\d\.\d+ [ -~]+", reply), reply
    return None


class TestAttacks:
    @pytest.mark.parametrize("attack", ATTACKS, ids=[attack["name"] for attack in ATTACKS])
    def test_the_list(self, attack: dict[str, str]) -> None:
        sent = judged(attack["header"].encode("latin-1") + REST)
        assert (sent is not None) == (attack["name"] in ACCEPTED)
        if sent is not None:
            assert senders_of(sent) == [[ME]] * 4

    @pytest.mark.parametrize("seed", range(2))
    def test_generated_attempts_to_be_somebody_else(self, seed: int) -> None:
        for octets in dishonest(1000, seed):
            sent = judged(octets)
            assert sent is None or is_from_nobody_else(sent, ME, victim=BOSS), octets

    @given(st.binary(max_size=400))
    def test_any_octets_are_refused_or_are_the_agents(self, octets: bytes) -> None:
        sent = judged(b"From: me@d.example\r\n" + octets)
        if sent is not None:
            assert senders_of(sent) == [[ME]] * 4

    @given(
        st.lists(
            st.sampled_from(
                [
                    "From",
                    ":",
                    " ",
                    "<",
                    ">",
                    '"',
                    ",",
                    "@",
                    "me",
                    "boss",
                    "d.example",
                    "\r\n",
                    "(",
                    ")",
                    ";",
                    "=?utf-8?q?",
                    "?=",
                    "\\",
                    "ü",
                    "\u202e",
                ]
            ),
            max_size=25,
        )
    )
    def test_any_value_is_refused_or_is_the_agents(self, pieces: list[str]) -> None:
        sent = judged(b"From: " + "".join(pieces).encode() + b"\r\n" + REST)
        if sent is not None:
            assert senders_of(sent) == [[ME]] * 4

    @pytest.mark.parametrize(
        "name",
        [
            "=?utf-8?q?=3D=3Futf-8=3Fq=3Fboss=3D40d.example=3F=3D?=",
            '"=?utf-8?q?=3D=3Futf-8=3Fq=3Fboss=3D40d.example=3F=3D?="',
            "=?utf-8?b?PT91dGYtOD9xP2Jvc3M9NDBkLmV4YW1wbGU/PQ==?=",
            '"=\\?utf-8?q?boss=40d.example?="',
            '"=?utf-8?q?boss" "=40d.example?="',
            "=?utf-8?q?=3D?==?utf-8?q?=3Futf-8=3Fq=3Fboss=3D40d.example=3F=3D?=",
            "\uff1d\uff1futf-8\uff1fq\uff1fboss\uff1d40d.example\uff1f\uff1d",
            "=?utf-7?q?boss+AEA-d.example?=",
            "=?utf-8?b?Ym9z?= =?utf-8?b?c0BkLmV4YW1wbGU=?=",
            "=?utf-16?b?YgBvAHMAcwBAAGQ=?=",
        ],
    )
    def test_a_display_name_that_is_an_address_once_it_is_decoded_however_often(self, name: str) -> None:
        assert judged(f"From: {name} <{ME}>\r\n".encode() + REST) is None

    @pytest.mark.parametrize(
        "name", ["Resent-From", "Return-Path", "X-MJ-TemplateID", "X-Mailjet-Campaign", "x-mj-vars", "Resent-Sender"]
    )
    def test_fields_that_are_not_an_agents_to_set(self, name: str) -> None:
        assert judged(f"From: {ME}\r\n{name}: {ME}\r\n".encode() + REST) is None

    @pytest.mark.parametrize(
        "name", ["To", "Subject", "Content-Type", "Message-ID", "Date", "Reply-To", "Sender", "X-MJ-CustomID"]
    )
    def test_a_second_one_of_what_stands_once(self, name: str) -> None:
        twice = f"{name}: {ME}\r\n" * 2
        assert judged(f"From: {ME}\r\n{twice}\r\nx".encode()) is None


class TestLineEnds:
    @pytest.mark.parametrize("before", ["\n", "\r", "\r\n\r", "\0\r\n", "\n\r"])
    @pytest.mark.parametrize("after", ["\n", "\r", "\n\r\n"])
    def test_smuggling(self, before: str, after: str) -> None:
        octets = f"From: {ME}\r\n\r\nbody{before}.{after}MAIL FROM:<{BOSS}>\r\n".encode()
        with pytest.raises(LineEndError):
            checked_message(octets, AGENT)

    def test_998_octets_are_a_line_and_999_are_not(self) -> None:
        head = f"From: {ME}\r\n\r\n".encode()
        assert judged(head + b"x" * 998 + b"\r\n") is not None
        assert judged(head + b"x" * 999 + b"\r\n") is None
        assert judged(head + b"x" * 999) is None

    def test_the_first_line_counts_too(self) -> None:
        assert judged(b"X-A: " + b"x" * 993 + f"\r\nFrom: {ME}\r\n".encode() + REST) is not None
        assert judged(b"X-A: " + b"x" * 994 + f"\r\nFrom: {ME}\r\n".encode() + REST) is None

    @pytest.mark.parametrize("line", [b"x" * 998, b"x" * 76, b""])
    def test_a_large_message_is_judged_at_once(self, line: bytes) -> None:
        """Whoever judges it holds the interpreter, and nobody else is served meanwhile."""
        octets = (line + b"\r\n") * (3_000_000 // (len(line) + 2))
        begun = time.process_time()
        require_plain_lines(octets)
        assert time.process_time() - begun < 0.5

    @pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029", "\x0b", "\x1e"])
    def test_what_some_take_for_the_end_of_a_line(self, separator: str) -> None:
        assert judged(f"Subject: x{separator}From: {BOSS}\r\nFrom: {ME}\r\n".encode() + REST) is None

    def test_a_blank_folded_line_ends_the_header_for_some(self) -> None:
        assert judged(f"From: {ME}\r\nSubject: x\r\n \r\nFrom: {BOSS}\r\n".encode() + REST) is None


class TestHonest:
    @pytest.mark.slow
    def test_ordinary_messages_are_taken(self) -> None:
        for octets in honest(1000, 1):
            sent = checked_message(octets, AGENT).octets
            assert senders_of(sent) == [[ME]] * 4
            assert sent.partition(b"\r\n\r\n")[2] == octets.partition(b"\r\n\r\n")[2]

    @pytest.mark.parametrize(
        "name", ["", "Agent 427", "Müller, Jörg", 'The "Bot" \\ x', "山田 太郎", "👩‍💻 Ana", "x" * 200, "ü" * 200]
    )
    def test_a_display_name_arrives_as_it_was(self, name: str) -> None:
        octets = f"From: {from_value(name, ME)}\r\n".encode() + REST
        sent = email.message_from_bytes(checked_message(octets, AGENT).octets)
        # email.policy puts blanks between encoded words of one name (CPython), so the words are decoded by themselves.
        shown, address = parseaddr(sent["From"].replace("\r\n", ""))
        assert (str(make_header(decode_header(shown))), address) == (name, ME)
        assert all(len(line) <= 998 for line in octets.split(b"\r\n"))

    @pytest.mark.parametrize("character", ['"', "\\", "ü", "👩"])
    def test_a_display_name_has_a_line_of_its_own_and_so_it_has_a_limit(self, character: str) -> None:
        assert judged(f"From: {from_value(character * 256, ME)}\r\n".encode() + REST) is not None
        with pytest.raises(MessageOffenceError, match="display name has 257 characters, expected at most 256"):
            checked_message(f"From: {from_value(character * 257, ME)}\r\n".encode() + REST, AGENT)

    def test_bcc_goes_and_what_is_missing_comes(self) -> None:
        found = checked_message(f"From: {ME}\r\nBCC: a@y.example,\r\n b@y.example\r\n\r\nx".encode(), AGENT)
        message = email.message_from_bytes(found.octets)
        assert message["Bcc"] is None
        assert b"a@y.example" not in found.octets
        assert b"b@y.example" not in found.octets
        assert message["Message-ID"] == found.message_id
        assert message["Date"]

    def test_the_agent_is_in_the_event_payload_whatever_the_message_says(self) -> None:
        forged = b'X-MJ-EventPayload: {"agent_id": "bot-2"}\r\n'
        found = checked_message(f"From: {ME}\r\n".encode() + forged + REST, AGENT)
        payload = json.loads(email.message_from_bytes(found.octets)["X-MJ-EventPayload"])
        assert payload == {"agent_id": "bot-1", "payload": '{"agent_id": "bot-2"}'}

    def test_its_own_event_payload_is_not_wrapped(self) -> None:
        assert event_payload(AGENT, '{"agent_id": "bot-1"}') == '{"agent_id": "bot-1"}'

    def test_too_large_a_message(self) -> None:
        with pytest.raises(MessageOffenceError, match="has 15728641 octets"):
            checked_message(b"x" * (MAX_MESSAGE_OCTETS + 1), AGENT)

    def test_memory_is_a_small_multiple_of_the_message(self) -> None:
        octets = f"From: {ME}\r\n\r\n".encode() + b"x\r\n" * (4 * 1024 * 1024)
        tracemalloc.start()
        checked_message(octets, AGENT)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 4 * len(octets)
