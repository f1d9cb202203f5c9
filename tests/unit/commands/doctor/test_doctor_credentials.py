"""One key that is refused is one error: what depends on it is not looked at."""

from __future__ import annotations

import pytest

from commands.doctor.credentials import CREDENTIALS, DEPENDENT, not_looked_at
from commands.doctor.finding import Check, Status


@pytest.mark.parametrize("name", DEPENDENT)
def test_what_depends_on_a_broken_key(name: str) -> None:
    found = not_looked_at(Check(name), "dev", [CREDENTIALS.error(DEPENDENT[name], "Refused.")])
    assert found is not None
    assert (found.status, found.check) == (Status.WARNING, name)
    assert found.sentence == f"Not looked at: it needs the {DEPENDENT[name]} named above."


@pytest.mark.parametrize("name", [*DEPENDENT, "dns", "spf", "webhook"])
def test_what_does_not(name: str) -> None:
    harmless = [
        CREDENTIALS.ok("Mailjet key", "Accepted."),
        CREDENTIALS.warning("Cloudflare token", "None."),
        CREDENTIALS.error("Mailjet plan", "None."),
    ]
    assert not_looked_at(Check(name), "dev", harmless) is None
