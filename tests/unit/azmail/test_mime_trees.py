"""Whatever tree of parts a mail is: Mailjet's payload of it is read, nothing is lost, and it can be written again."""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.policy import default
from types import FrameType
from typing import Any

import pytest
from hypothesis import given, settings

from azmail import InboundMail, parse_inbound
from emulators.mailjet.parse_payload import parse_payload
from tests.profiles import examples
from tests.unit.azmail.conftest import ADDRESS_A
from tests.unit.azmail.mime_trees import Branch, Leaf, Tree, trees, written

HEADERS = b"From: Ada <ada@a.example>\r\nSubject: tree\r\nMessage-ID: <t@a.example>\r\n"
NOW = datetime(2026, 1, 2, tzinfo=UTC)
MARK = re.compile(rb"content-\d+-")


def payload_of(tree: Tree) -> dict[str, Any]:
    return parse_payload(written(tree, HEADERS), sender="ada@a.example", recipient=ADDRESS_A, received=NOW)


def contents(mail: InboundMail) -> bytes:
    texts = [text.encode() for text in (mail.text, mail.html) if text]
    return b"\n".join([*texts, *(file.content for file in mail.attachments)])


@pytest.mark.slow
@settings(max_examples=examples(1_000), deadline=None)
@given(trees())
def test_any_tree_is_read_and_written_again(tree: Tree) -> None:
    payload = payload_of(tree)
    mail = parse_inbound(json.dumps(payload).encode())
    # Every piece that Mailjet has found is there, byte for byte where it is a file.
    for key, value in payload.items():
        if re.fullmatch(r"(Text|Html)-part\d*", key) and value.strip():
            assert value.replace("\0", "\ufffd").encode("utf-8", "replace").decode() in (mail.text or "") + (
                mail.html or ""
            )
        elif re.fullmatch(r"(Inline)?Attachment\d+", key):
            assert base64.b64decode(value) in contents(mail)
    octets = mail.message.as_bytes()
    again = message_from_bytes(octets, policy=default)
    assert again.as_bytes()
    assert (again["Subject"], again["From"]) == ("tree", "Ada <ada@a.example>")
    # What is in the mail is in what was rebuilt of it, under whatever type.
    rebuilt = octets + b"\n".join(
        found for part in again.walk() if isinstance(found := part.get_payload(decode=True), bytes)
    )
    assert set(MARK.findall(contents(mail))) <= set(MARK.findall(rebuilt))
    assert parse_inbound(payload).delivery_key == mail.delivery_key


def wide(parts: int) -> Tree:
    return Branch(
        "mixed", tuple(Leaf("application/pdf", encoding="base64", disposition="attachment") for _ in range(parts))
    )


def alternatives(parts: int) -> Tree:
    return Branch("alternative", tuple(Leaf("text/html") for _ in range(parts)))


def deep(parts: int) -> Tree:
    tree: Tree = Leaf()
    for number in range(parts):
        tree = Branch("mixed", (tree,), boundary=f"b{number}")
    return tree


def messages(parts: int) -> Tree:
    tree: Tree = Leaf()
    for _ in range(parts):
        tree = Branch("rfc822", (tree,))
    return Branch("mixed", (tree, Leaf()))


def forwarded(parts: int) -> Tree:
    return Branch("digest", tuple(Branch("rfc822", (Leaf(),)) for _ in range(parts)))


def steps(work: Callable[[], object]) -> int:
    """How many functions were called: a cost that is the same on every machine and in every run."""
    count = 0

    def step(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("shape", [wide, alternatives, deep, messages, forwarded])
def test_twice_the_parts_cost_twice_as_much_at_most(shape: Callable[[int], Tree]) -> None:
    bodies = [json.dumps(payload_of(shape(parts))) for parts in (20, 40)]
    costs = [steps(lambda body=body: parse_inbound(body).message.as_bytes()) for body in bodies]  # type: ignore[misc]
    assert costs[1] < 2.5 * costs[0]


@pytest.mark.parametrize("shape", [deep, messages])
@pytest.mark.parametrize("parts", [200, 3_000])
@pytest.mark.slow
def test_a_tree_of_any_depth_is_read_and_written_again(shape: Callable[[int], Tree], parts: int) -> None:
    mail = parse_inbound(payload_of(shape(parts)))
    assert b"content-0-" in contents(mail)
    assert b"content-0-" in contents(
        parse_inbound(parse_payload(mail.message.as_bytes(), sender="a@a.example", recipient=ADDRESS_A, received=NOW))
    )
