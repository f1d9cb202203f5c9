"""What the last `up` of this very stack has recorded, where a change of configuration would make it lose its own things.

Read like another stack's outputs (see `shared_domain`), and only where there is a reason to: for a tunnel that is named
as an existing one, and when records are about to be called foreign.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pulumi

from mailboxes import remedies
from settings.model import Settings
from settings.values import PROJECT, TunnelKind
from zone.names import tunnel_host

_HALF_WRITTEN = "failed to load checkpoint: EOF"
"""A file backend with sidecars rewrites them in place, and this very run is saving its steps (decision record 070)."""
_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between attempts to read past that moment."""

_OUTPUTS = "pulumi:pulumi:readStackOutputs"
_RESOURCES = "pulumi:pulumi:readStackResourceOutputs"
"""Functions of the engine's own; the second gives `{urn: {type, outputs}}`, also of an `up` that died."""
_TUNNEL = "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared"

_SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"  # noqa: S105 - the engine's mark of a secret value


def refuse_own_tunnel(settings: Settings) -> None:
    """A tunnel that this stack has made, named as an existing one: the `up` would delete what its CNAME leads to.

    The state knows also what an `up` made that died. Raises RunError.
    """
    if settings.tunnel_kind is not TunnelKind.EXISTING or _is_settled(settings.tunnel_cname):
        return
    account = _account_of(settings.tunnel_cname)
    if account:
        raise pulumi.RunError(
            f"agentmail:tunnelCname is {settings.tunnel_cname!r}, the tunnel that this stack made; expected accountId as before, or "
            "another tunnel, since this up would delete it while its CNAME leads there; go back with: "
            f"{remedies.remove_value('tunnelCname', stack=settings.stack)} && "
            f"{remedies.set_value('accountId', account, stack=settings.stack)}"
        )


def _is_settled(target: str) -> bool:
    """Whether the last `up` had this very tunnel of somebody else's: the whole state need not be read for it again."""
    outputs = _outputs()
    targets = {str(record.get("content", "")) for record in outputs.get("expectedRecords") or []}
    return target in targets and not _plain(outputs.get("tunnelToken"))


def _account_of(target: str) -> str:
    """The account of the tunnel in this stack's state that a CNAME with this target leads to; empty for none there.

    Raises RunError.
    """
    for resource in _asked(_RESOURCES, stackName=_name()).values():
        outputs = resource.get("outputs") or {}
        if resource.get("type") == _TUNNEL and tunnel_host(str(outputs.get("id", ""))) == target:
            return str(outputs.get("accountId", ""))
    return ""


def changed_owner_tag(settings: Settings) -> str:
    """The sentence for records that are ours under the tag of the last `up`; empty where the tag is the same."""
    before = str(_plain(_outputs().get("ownerTag")) or "")
    if before in {"", settings.tag}:
        return ""
    found = "" if settings.owner_tag else " (the default, which follows the stack's name)"
    return (
        f"agentmail:ownerTag is {settings.tag!r}{found}, and the last up of this stack had {before!r}; expected the tag to stay as "
        "it is for ever, since it is how the stack knows its own records, tunnel and routes, which it would now call "
        f"somebody else's; set it back with: {remedies.set_value('ownerTag', before, stack=settings.stack)}"
    )


def _outputs() -> Mapping[str, Any]:
    """Of the last `up`; none before the first. Raises RunError."""
    return _asked(_OUTPUTS, name=_name())


def _name() -> str:
    return f"{pulumi.get_organization()}/{PROJECT}/{pulumi.get_stack()}"


def _asked(function: str, **arguments: str) -> Mapping[str, Any]:
    """What the engine says of a recorded state. Raises RunError."""
    try:
        return _read(function, arguments, list(_PAUSES))
    except Exception as error:  # noqa: BLE001 - the SDK raises a bare Exception for whatever the engine answers
        raise pulumi.RunError(
            f"The stack's own outputs cannot be read ({str(error).strip().splitlines()[-1]}); expected those of the last up; "
            f"look with: {remedies.mail('pulumi', 'stack', 'output', '--stack', pulumi.get_stack())}"
        ) from None


def _read(function: str, arguments: dict[str, str], pauses: list[float]) -> Mapping[str, Any]:
    try:
        answer = pulumi.runtime.invoke(function, dict(arguments)).value
    except Exception as error:
        if not pauses or _HALF_WRITTEN not in str(error):
            raise
        time.sleep(pauses.pop(0))
        return _read(function, arguments, pauses)
    return answer.get("outputs") or {}


def _plain(value: Any) -> Any:
    """A value as it is, also where the engine marks it as secret."""
    marked = isinstance(value, Mapping) and _SECRET_SIGNATURE in value
    return value.get("value") if marked else value
