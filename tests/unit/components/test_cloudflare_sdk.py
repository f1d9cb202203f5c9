"""The lean import of the Cloudflare SDK: the SDK's own classes, few modules, and nothing lost for whoever wants the rest.

Each case runs in a Python of its own, since what a process has imported decides what happens.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
COUNT = "len([name for name in sys.modules if name.startswith('pulumi_cloudflare')])"


def said(code: str, *, before: Path | None = None) -> Any:
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


NAMES = ["DnsRecord", "ZeroTrustTunnelCloudflared", "ZeroTrustTunnelCloudflaredConfig"]
TOKENS = [
    "cloudflare:index/dnsRecord:DnsRecord",
    "cloudflare:index/zeroTrustTunnelCloudflared:ZeroTrustTunnelCloudflared",
    "cloudflare:index/zeroTrustTunnelCloudflaredConfig:ZeroTrustTunnelCloudflaredConfig",
]
"""As they stand in every stack's state."""


@pytest.fixture(scope="module")
def lean_first() -> dict[str, Any]:
    found: dict[str, Any] = said(
        f"""import components.cloudflare_sdk as lean
modules = {COUNT}
types = [len(sys.modules["pulumi_cloudflare." + name].__all__) for name in ("_inputs", "outputs")]
from pulumi._types import resource_types
given = {{name: str(kind) for name, kind in resource_types(lean.DnsRecord).items()}}
import pulumi_cloudflare as sdk
missing = hasattr(sdk, "NoSuchThing")
print(json.dumps(dict(
    modules=modules, types=types, given=given, rest=sdk.ZoneAccountArgs.__module__, out=sdk.outputs.ZoneMeta.__name__,
    missing=missing, zone=sdk.Zone.__module__,
    same=[getattr(sdk, name) is getattr(lean, name) for name in {NAMES}],
    tokens=[getattr(lean, name).pulumi_type for name in {NAMES}],
)))"""
    )
    return found


class TestLeanFirst:
    def test_only_the_modules_of_the_three_classes_are_executed(self, lean_first: dict[str, Any]) -> None:
        assert lean_first["modules"] <= 8

    def test_only_their_own_types_are_executed_and_all_of_those(self, lean_first: dict[str, Any]) -> None:
        assert all(0 < number < 30 for number in lean_first["types"])
        assert lean_first["given"]["data"].endswith("outputs.DnsRecordData'>")

    def test_the_types_of_others_are_there_when_somebody_wants_them(self, lean_first: dict[str, Any]) -> None:
        assert lean_first["rest"] == "pulumi_cloudflare._inputs"
        assert lean_first["out"] == "ZoneMeta"

    def test_the_type_tokens_are_the_ones_in_every_state(self, lean_first: dict[str, Any]) -> None:
        assert lean_first["tokens"] == TOKENS

    def test_whoever_asks_for_another_name_has_the_whole_sdk(self, lean_first: dict[str, Any]) -> None:
        assert lean_first["zone"] == "pulumi_cloudflare.zone"
        assert lean_first["same"] == [True, True, True]

    def test_a_name_that_the_sdk_lacks_is_lacking_still(self, lean_first: dict[str, Any]) -> None:
        assert lean_first["missing"] is False


def test_where_the_whole_sdk_is_imported_already_its_classes_are_taken() -> None:
    code = "import pulumi_cloudflare as sdk, components.cloudflare_sdk as lean\n"
    code += f"print(json.dumps([getattr(sdk, name) is getattr(lean, name) for name in {NAMES}]))"
    assert said(code) == [True, True, True]


def test_another_layout_is_imported_plainly(tmp_path: Path) -> None:
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


CLASSES = "@d\nclass DnsRecordData:\n    a = 1\n\nclass Zone:\n    a = 2\n"
HEAD = "def d(c):\n    c.decorated = True\n    return c\n\n__all__ = [\n    'DnsRecordData',\n    'Zone',\n]\n\n"


@pytest.mark.parametrize(
    ("types", "only"),
    [
        pytest.param(HEAD + CLASSES, True, id="as the SDK generates it"),
        pytest.param(HEAD + CLASSES.replace("\nclass Zone", "\nif True:\n  class Zone"), True, id="conditions of others"),
        pytest.param(HEAD + CLASSES.replace("@d\n", ""), True, id="undecorated"),
        pytest.param(HEAD.replace(",\n    'Zone'", ", 'Zone'") + CLASSES, False, id="names in a row"),
        pytest.param(HEAD.replace("Zone", "DnsRecordTags") + CLASSES + "\nDnsRecordTags = dict\n", False, id="no class"),
        pytest.param("__all__ = ['DnsRecordData']\n" + CLASSES.replace("@d\n", ""), False, id="one line"),
        pytest.param("from ._data import *\n", False, id="elsewhere"),
    ],
)  # fmt: skip
def test_types_in_another_layout_are_imported_plainly(tmp_path: Path, types: str, only: bool) -> None:
    package = tmp_path / "pulumi_cloudflare"
    package.mkdir()
    (package / "_utilities.py").write_text("def get_version():\n    return '7.0.0'\n")
    (package / "_data.py").write_text(CLASSES.replace("@d\n", ""))
    for name in ("_inputs", "outputs"):
        (package / f"{name}.py").write_text(types)
    (package / "dns_record.py").write_text("from ._inputs import *\nfrom . import outputs\nclass DnsRecord: ...\n")
    tunnels = ("zero_trust_tunnel_cloudflared", "zero_trust_tunnel_cloudflared_config")
    for name in tunnels:
        (package / f"{name}.py").write_text(f"class {name.title().replace('_', '')}: ...\n")
    (package / "__init__.py").write_text(
        "from . import _utilities\nfrom .dns_record import *\n"
        + "".join(f"from .{name} import *\n" for name in tunnels)
    )
    code = """import components.cloudflare_sdk as lean
import pulumi_cloudflare.dns_record as home
before = "Zone" in vars(sys.modules["pulumi_cloudflare._inputs"])
print(json.dumps([home.DnsRecordData.a, before, sys.modules["pulumi_cloudflare.outputs"].__dict__.get("Zone") is None]))"""
    assert said(code, before=tmp_path) == [1, not only, only]
