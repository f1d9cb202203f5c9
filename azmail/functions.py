"""A function of the user's own, by name."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from azmail.errors import WebhookConfigError


def named_function(name: str) -> Callable[..., object]:
    """`MODULE:FUNCTION`, from the present folder too. Raises WebhookConfigError."""
    module, _, attribute = name.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise WebhookConfigError(
            f"found no function {name!r} ({error}), expected MODULE:FUNCTION that can be imported from here"
        ) from error
    if not callable(found):
        raise WebhookConfigError(f"found that {name!r} is no function, expected MODULE:FUNCTION")
    return found
