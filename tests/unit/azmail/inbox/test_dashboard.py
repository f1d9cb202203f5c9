"""The dashboard asks for metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.unit.azmail.inbox.desk import Desk
from tests.unit.azmail.inbox.mails import payload

DASHBOARD = Path(__file__).parents[4] / "deploy" / "grafana-inbox.json"


def test_every_metric_of_the_dashboard_is_there(sqlite_desk: Desk) -> None:
    sqlite_desk.deliver(payload(1))
    sqlite_desk.deliver(payload(1, to="nobody@d.example"))
    told = set(re.findall(r"^(azmail_inbox_\w+)", sqlite_desk.client.get("/metrics").text, re.MULTILINE))
    dashboard = json.loads(DASHBOARD.read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"azmail_inbox_\w+", target["expr"])
    }
    assert asked <= told
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"]) == 9
