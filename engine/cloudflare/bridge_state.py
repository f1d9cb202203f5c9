"""What the official plugin keeps in a resource's state beside its properties.

`__meta` is JSON text: the version of the resource's schema, and base64 of a JSON object of base64 values ("private
state"). Keeping to it lets a stack change between this plugin and the official one.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

META = "__meta"
_SCHEMA_VERSION = "500"
_ZONE_NAME = "zone_name"


def meta(state: Mapping[str, Any], zone_name: str | None = None) -> str:
    """The `__meta` of a resource's next state: as it was, with `zone_name` added if one was learned."""
    kept = _parsed(state)
    kept.setdefault("schema_version", _SCHEMA_VERSION)
    if zone_name:
        private = _private(kept)
        private[_ZONE_NAME] = _encoded(json.dumps(zone_name))
        kept["private_state"] = _encoded(json.dumps(private, separators=(",", ":")))
    return json.dumps(kept, separators=(",", ":"), sort_keys=True)


def zone_name(state: Mapping[str, Any]) -> str | None:
    """The name of the record's zone, if a refresh has learned it."""
    stored = _private(_parsed(state)).get(_ZONE_NAME)
    return str(json.loads(_decoded(stored))) if stored else None


def _parsed(state: Mapping[str, Any]) -> dict[str, str]:
    text = state.get(META)
    return dict(json.loads(text)) if isinstance(text, str) else {}


def _private(parsed: Mapping[str, str]) -> dict[str, str]:
    stored = parsed.get("private_state")
    return dict(json.loads(_decoded(stored))) if stored else {}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
