"""`./mail status`: what a stack is, at a glance, from its outputs and its history; asks no service."""

from __future__ import annotations

import json as _json
from pathlib import Path
from typing import Any

from commands.cli.console import working
from commands.stack_commands import Pulumi
from engine.stacks import without_credentials
from mailboxes import remedies


def status(stack: str, project: Path, *, json: bool) -> int:
    """Raises PulumiFailedError for a stack that is not there."""
    pulumi = Pulumi(stack, project=project)
    with working(f"Reading {stack}"):
        outputs = pulumi.outputs()
        history = _json.loads(pulumi.run("stack", "history", "--json", "--page-size", "1", "--stack", stack) or "[]")
    found = facts(stack, outputs, history or [], backend=pulumi.environment.get("PULUMI_BACKEND_URL", ""))
    print(_json.dumps(found, indent=2, ensure_ascii=False) if json else _text(found), end="\n" if json else "")
    return 0


def facts(stack: str, outputs: dict[str, Any], history: list[dict[str, Any]], *, backend: str) -> dict[str, Any]:
    """What `--json` shows; no secret."""
    last = history[0] if history else {}
    return {
        "stack": stack,
        "state": without_credentials(backend) or "where the login of the Pulumi CLI leads",
        "is_up": "expectedRecords" in outputs,
        "domain": outputs.get("domain"),
        "dkim": outputs.get("dkimStatus"),
        "spf": outputs.get("spfStatus"),
        "records": len(outputs.get("expectedRecords") or []),
        "tunnel": outputs.get("tunnelHostname"),
        "webhook": outputs.get("webhookUrl"),
        "mailboxes": outputs.get("mailboxCount", 0),
        "last": {
            key: last[name]
            for key, name in (("kind", "kind"), ("result", "result"), ("ended", "endTime"))
            if name in last
        },
    }


def _text(found: dict[str, Any]) -> str:
    last = found["last"]
    told = f"{last.get('kind')} {last.get('result')}, {last.get('ended')}" if last else "never"
    rows = [("Stack", found["stack"]), ("State", found["state"]), ("Last run", told)]
    if not found["is_up"]:
        rows.append(("Mail", f"nothing is up; bring it up with: {remedies.apply(found['stack'])}"))
    else:
        rows += [
            ("Domain", found["domain"]),
            ("Verified", f"DKIM {found['dkim']}, SPF {found['spf']}"),
            ("Records", found["records"]),
            ("Tunnel", f"https://{found['tunnel']}" if found["tunnel"] else "none"),
            ("Webhook", found["webhook"]),
            ("Mailboxes", found["mailboxes"]),
        ]
    return "".join(f"{name:<10} {value}\n" for name, value in rows)
