"""The stack's configuration file, changed in place: comments, order and secrets in it stay as they are."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from commands.adopt.errors import ConfigFileError
from mailboxes.merging import replace_file
from settings.values import PROJECT


def change_configuration(path: Path, changes: Mapping[str, Any]) -> None:
    """Set keys, of the project's namespace where they name no other; None removes one. The file is replaced in one step.

    Raises ConfigFileError.
    """
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    try:
        document = yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigFileError(path, "does not exist") from None
    except YAMLError:
        raise ConfigFileError(path, "is no valid YAML") from None
    if document is None:
        document = CommentedMap()
    if not isinstance(document, CommentedMap):
        raise ConfigFileError(path, "is no mapping")
    config = document.setdefault("config", CommentedMap())
    if not isinstance(config, CommentedMap):
        raise ConfigFileError(path, "has a 'config' that is no mapping")
    for key, value in changes.items():
        name = key if ":" in key else f"{PROJECT}:{key}"
        if value is None:
            config.pop(name, None)
        else:
            config[name] = value
    text = StringIO()
    yaml.dump(document, text)
    replace_file(path, text.getvalue())
