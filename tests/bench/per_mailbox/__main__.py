"""A Pulumi program for comparison: a resource for every mailbox of addresses.json."""

import json
import os
from pathlib import Path

import pulumi

from tests.bench.per_mailbox.mailbox_route import Mailbox

secret = os.environ["MAILJET_INBOUND_SECRET"]
url = pulumi.Output.secret(f"https://per-mailbox:{secret}@api.agents.example/inbound")
for agent_id, address in json.loads(Path("addresses.json").read_text()).items():
    Mailbox(f"mailbox-{agent_id}", address, url)
