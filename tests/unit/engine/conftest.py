from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.engine.machines import Machine, machine


@pytest.fixture
def bare(tmp_path: Path) -> Machine:
    """A machine with neither Pulumi nor Go."""
    return machine(tmp_path)
