"""What an agent may do beyond being itself, as a population file says it; the gateway enforces it.

```yaml
agents:
  - {id: bot-1, name: Ana, credential_epoch: 1}                     # its password is another than before
  - {id: bot-2, name: Bo, messages_an_hour: 20, may_write_to: "agents.example, ops@azt3knet.example"}
```
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

LIMITS = ("messages_an_hour", "messages_a_day", "recipients_an_hour", "recipients_a_day")
HIGHEST_EPOCH = 999_999_999
HIGHEST_LIMIT = 1_000_000_000
_RECIPIENT = re.compile(
    r"(?:[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@)?[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPolicy:
    """`limits` are by name, only those that the file gives; without `may_write_to` the agent writes to everybody."""

    credential_epoch: int = 0
    limits: tuple[tuple[str, int], ...] = ()
    may_write_to: tuple[str, ...] | None = None

    def __str__(self) -> str:
        """In the file's words, for people."""
        said = [f"credential_epoch {self.credential_epoch}"] if self.credential_epoch else []
        said += [f"{name} {number or 'unlimited'}" for name, number in self.limits]
        if self.may_write_to is not None:
            said.append(f"may_write_to {', '.join(self.may_write_to) or 'nobody'}")
        return "; ".join(said) or "nothing special"


def checked_number(text: Any, *, highest: int = HIGHEST_LIMIT) -> int:
    """Raises ValueError; its text goes on from the name of the key."""
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    if not isinstance(text, str) or not re.fullmatch(r"[0-9]{1,10}", text.strip()) or int(text) > highest:
        raise ValueError(f"is {text!r}; expected a whole number from 0 to {highest:,}")
    return int(text)


def checked_recipients(text: Any) -> tuple[str, ...]:
    """Domains and addresses, divided by commas, in lower case and sorted. Raises ValueError."""
    entries = [entry.strip() for entry in text.split(",")] if isinstance(text, str) else list(text)
    for entry in entries:
        if not _RECIPIENT.fullmatch(entry):
            raise ValueError(
                f"has {entry[:60]!r}; expected domains and addresses with commas between them, such as "
                "'agents.example, ops@azt3knet.example'"
            )
    return tuple(sorted({entry.lower() for entry in entries}))


def render_policies(policies: Mapping[str, AgentPolicy]) -> str:
    """{agent id: policy} as JSON text, sorted; empty for none, as it is as a rule."""
    if not policies:
        return ""
    shown = {
        agent_id: {
            name: value
            for name, value in asdict(policy).items()
            if value or (name == "may_write_to" and value is not None)
        }
        for agent_id, policy in sorted(policies.items())
    }
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def parse_policies(text: str) -> dict[str, AgentPolicy]:
    """What `render_policies` wrote."""
    return {
        agent_id: AgentPolicy(
            credential_epoch=said.get("credential_epoch", 0),
            limits=tuple((str(name), int(number)) for name, number in said.get("limits", ())),
            may_write_to=tuple(said["may_write_to"]) if "may_write_to" in said else None,
        )
        for agent_id, said in (json.loads(text) if text else {}).items()
    }


def refuse_lower_epochs(
    old: Mapping[str, AgentPolicy], new: Mapping[str, AgentPolicy], agents: Mapping[str, str]
) -> str | None:
    """A password that was withdrawn would be good again. `agents`: those who stay, {agent id: address}."""
    lower = [
        f"{agent_id}: {policy.credential_epoch} -> {new.get(agent_id, AgentPolicy()).credential_epoch}"
        for agent_id, policy in sorted(old.items())
        if agent_id in agents and new.get(agent_id, AgentPolicy()).credential_epoch < policy.credential_epoch
    ]
    if not lower:
        return None
    more = f", and {len(lower) - 3:,} more" if len(lower) > 3 else ""
    return (
        f"{len(lower):,} credential_epoch would go down, of 0 allowed ({', '.join(lower[:3])}{more}), and a password that was "
        "withdrawn would be good again; put it back in the population file, or raise it."
    )
