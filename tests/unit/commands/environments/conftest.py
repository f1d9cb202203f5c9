"""A project folder of its own, and an environment of variables that steers nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.commands.doctor.conftest import _cloudflare, _mailjet, cloudflare, mailjet

__all__ = ["_cloudflare", "_mailjet", "cloudflare", "mailjet"]
PREFIXES = ("PULUMI_", "MAILJET_", "CLOUDFLARE_", "AZT3KNET_", "AGENTMAIL_")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder; no variable of the machine counts, and a backend with a passphrase is named."""
    import os

    for name in list(os.environ):
        if name.startswith(PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}/backend")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "of the tests")
    return tmp_path
