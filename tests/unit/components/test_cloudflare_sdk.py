"""The lean import of the Cloudflare SDK: the SDK's own classes, few modules, and nothing lost for whoever wants the rest.

Each case runs in a Python of its own, since what a process has imported decides what happens.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
COUNT = "len([name for name in sys.modules if name.startswith('pulumi_cloudflare')])"


def said(code: str, *, before: Path | None = None) -> object:
    """What the JSON is that `code`, in a new Python at the project's root, prints."""
    path = [str(before)] if before else []
    done = subprocess.run(
        [sys.executable, "-c", f"import json, sys; sys.path[:0] = {path!r}\n{code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_only_the_modules_of_the_three_classes_are_executed():
    assert said(f"import components.cloudflare_sdk\nprint(json.dumps({COUNT}))") <= 8


@pytest.mark.parametrize(
    "name",
    ["DnsRecord", "ZeroTrustTunnelCloudflared", "ZeroTrustTunnelCloudflaredConfig"],
)
@pytest.mark.parametrize("first", ["components.cloudflare_sdk", "pulumi_cloudflare"])
def test_they_are_the_sdks_own_whoever_is_imported_first(name, first):
    second = ({"components.cloudflare_sdk", "pulumi_cloudflare"} - {first}).pop()
    code = f"import {first}, {second}\nimport pulumi_cloudflare as sdk\nfrom components.cloudflare_sdk import {name}\n"
    assert said(code + f"sdk.Zone\nprint(json.dumps([sdk.{name} is {name}, sdk.Zone.__module__, {name}.__module__]))")[
        :2
    ] == [True, "pulumi_cloudflare.zone"]


def test_a_name_that_the_sdk_lacks_is_an_attribute_error_afterwards_as_before():
    code = "import components.cloudflare_sdk, pulumi_cloudflare as sdk\n"
    assert said(code + "print(json.dumps([hasattr(sdk, 'NoSuchThing'), hasattr(sdk, 'Zone')]))") == [False, True]


def test_the_type_tokens_are_the_ones_in_every_state():
    code = (
        "from components.cloudflare_sdk import DnsRecord, ZeroTrustTunnelCloudflared, ZeroTrustTunnelCloudflaredConfig\n"
        "print(json.dumps([c.pulumi_type for c in (DnsRecord, ZeroTrustTunnelCloudflared, ZeroTrustTunnelCloudflaredConfig)]))"
    )
    assert said(code) == [
        "cloudflare:index/dnsRecord:DnsRecord",
        "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared",
        "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig",
    ]


def test_another_layout_is_imported_plainly(tmp_path):
    """An SDK whose modules have other names, but whose package still exports the classes."""
    package = tmp_path / "pulumi_cloudflare"
    package.mkdir()
    (package / "_utilities.py").write_text("def get_version():\n    return '7.0.0'\n")
    (package / "everything.py").write_text(
        "class DnsRecord: ...\nclass ZeroTrustTunnelCloudflared: ...\nclass ZeroTrustTunnelCloudflaredConfig: ...\n"
    )
    (package / "__init__.py").write_text("from . import _utilities\nfrom .everything import *\n")
    code = (
        "import components.cloudflare_sdk as lean\nprint(json.dumps([lean.DnsRecord.__module__, lean.get_version()]))"
    )
    assert said(code, before=tmp_path) == ["pulumi_cloudflare.everything", "7.0.0"]
