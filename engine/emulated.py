"""A stack file that names the emulators' fixed ports, followed to the ports that they really have.

The embedded default is committed with fixed ports. Where another clone or program holds those, the emulators listen on
others, and every command that reads the configuration reads a copy with their addresses; the file itself is never
changed, and what writes a configuration writes to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine import json_file
from engine.arguments import values, words
from engine.layout import Layout
from engine.stacks import Meant

FIXED: Mapping[str, object] = {
    "cloudflare:baseUrl": "http://127.0.0.1:8811/client/v4",
    "agentmail:mailjetApiUrl": "http://127.0.0.1:8810",
    "agentmail:mailjetSmtpPort": 8587,
    "agentmail:tunnelService": "http://127.0.0.1:8800",
    "agentmail:gatewayPort": 8588,
    "agentmail:gatewayApiUrl": "http://127.0.0.1:8589",
    "agentmail:inboxService": "http://127.0.0.1:8826",
}
"""What `Pulumi.dev.yaml` says; a value of the user's own is never followed."""

_READING = frozenset({("up",), ("preview",), ("refresh",), ("destroy",), ("import",), ("config",), ("config", "get")})


def followed(layout: Layout, arguments: Sequence[str], touched: Meant) -> list[str]:
    """The options that lead a command to the addresses of this clone's running emulators; none where it is there."""
    spoken = tuple(words(arguments))
    command = spoken[:2] if spoken[:1] == ("config",) else spoken[:1]
    if command not in _READING or len(touched.stacks) != 1 or touched.project != layout.root:
        return []
    # A value that is to be saved belongs into the file itself.
    if values(arguments, "--config-file") or values(arguments, "--config", "c"):
        return []
    stack = touched.stacks[0]
    real = _addresses(layout)
    document = stack.document()
    config = document.get("config")
    if not real or not isinstance(config, dict):
        return []
    moved = {
        key: real[key]
        for key, fixed in FIXED.items()
        # `config set` of any key writes a port as a text.
        if str(config.get(key)) == str(fixed) and key in real and real[key] != fixed
    }
    if not moved:
        return []
    copy = layout.state / "engine" / stack.path.name
    json_file.replace(copy, _as_yaml({**document, "config": {**config, **moved}}))
    return [f"--config-file={copy}"]


def _addresses(layout: Layout) -> dict[str, object]:
    """Where the emulators of this clone are, by the key that says so; empty while none run."""
    served = json_file.read(layout.credentials.with_name("server.json"))
    try:
        found = {
            "cloudflare:baseUrl": served["cloudflare"]["url"],
            "agentmail:mailjetApiUrl": served["mailjet"]["url"],
            "agentmail:mailjetSmtpPort": served["mailjet"]["smtp"]["port"],
            "agentmail:tunnelService": "http://{host}:{port}".format_map(served["platform"]),
        }
        # Emulators of before there was one may still run.
        if "gateway" in served:
            found["agentmail:gatewayPort"] = served["gateway"]["port"]
            found["agentmail:gatewayApiUrl"] = served["gateway"]["api_url"]
        if "inbox" in served:
            found["agentmail:inboxService"] = served["inbox"]["url"]
    except (KeyError, TypeError):
        return {}
    return found


def _as_yaml(document: Mapping[str, Any]) -> str:
    import yaml

    return (
        f"# A copy that the launcher made; change the file of the same name in the project.\n{yaml.safe_dump(document)}"
    )
