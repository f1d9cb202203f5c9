"""`./mail up` and `down` without what they are about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from commands import embedded
from commands.errors import NoStackFileError


@pytest.mark.parametrize("command", [embedded.up, embedded.down])
def test_a_missing_file_comes_back_from_the_repository(command: Callable[[str, Path], int], tmp_path: Path) -> None:
    """Not by `./mail apply`, which would miss it as well."""
    with pytest.raises(NoStackFileError, match=r"git checkout -- Pulumi\.dev\.yaml"):
        command("dev", tmp_path)
