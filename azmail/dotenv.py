"""A `.env` text that a shell can source and that docker compose reads the same way.

Shells expand `$`, split at spaces and cut at `#`; compose interpolates `$` and handles quotes by rules of its own.
Rather than quote for one and break the other, values keep to an alphabet that neither touches.
"""

import re
from collections.abc import Mapping

from azmail.errors import UnsafeEnvError

ALLOWED = "letters, digits and _ . / : @ , + = % -"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VALUE = re.compile(r"[A-Za-z0-9_./:@,+=%-]*")


def render_env(values: Mapping[str, str]) -> str:
    """One `NAME=value` line for each variable, in the order given.

    Raises UnsafeEnvError, which names every variable whose name or value does not fit and quotes none of them.
    """
    unsafe = [
        name
        for name, value in values.items()
        if not (_NAME.fullmatch(name) and isinstance(value, str) and _VALUE.fullmatch(value))
    ]
    if unsafe:
        raise UnsafeEnvError([re.sub(r"[^A-Za-z0-9_]", "?", name) for name in unsafe], ALLOWED)
    return "".join(f"{name}={value}\n" for name, value in values.items())
