"""What the platform's own mail declares."""

from __future__ import annotations

import json

from components.platform_mail import PlatformMail, PlatformMailArgs
from settings.loading import from_config
from tests.unit.components.conftest import Recorder, run_program

CONFIG = {
    "domain": "dev.agents.example",
    "dns": "none",
    "webhookUrl": "https://api.agents.example/in",
    "eventsPath": "/events",
    "mailjetApiKey": "k" * 32,
    "mailjetApiSecret": "s" * 32,
    "webhookSecret": "w" * 32,
}


def declare(**changes: object) -> None:
    """Run a program that declares the component, to its end."""
    args = PlatformMailArgs.of(from_config({**CONFIG, **changes}, stack="dev", preview=False))

    def program() -> None:
        PlatformMail("platform", args, after=[])

    run_program(program)


def test_everything_is_in_the_state_before_mailjet_makes_it(recorder: Recorder) -> None:
    news = "news@dev.agents.example"
    declare(
        mailjetSenders=json.dumps([{"email": news, "name": "News"}]),
        mailjetEvents=json.dumps(["bounce", "spam"]),
        mailjetDeleteSender=True,
    )
    [(name, footprint)] = recorder.of_type("Footprint").items()
    assert name == "platform-footprint"
    assert {key: footprint[key] for key in ("senders", "delete_senders", "callbacks", "callback_identity")} == {
        "senders": [news],
        "delete_senders": True,
        "callbacks": ["bounce", "spam"],
        "callback_identity": "https://agentmail-dev@api.agents.example/events",
    }
    kinds = [args.typ.rpartition(":")[2] for args in recorder.resources if "dynamic" in args.typ]
    assert kinds[0] == "Footprint"
    assert sorted(kinds[1:]) == ["EventCallback", "EventCallback", "Sender"]


def test_the_footprint_knows_no_secret(recorder: Recorder) -> None:
    declare(mailjetEvents=json.dumps(["bounce"]))
    assert "w" * 32 not in str(recorder.of_type("Footprint"))


def test_nothing_to_make_leaves_no_footprint(recorder: Recorder) -> None:
    declare(mailjetEvents=json.dumps([]))
    assert [args.typ for args in recorder.resources if "dynamic" in args.typ] == []
