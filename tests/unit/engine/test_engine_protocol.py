"""What speaks the engine's protocol does without the SDK, each case in a Python of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]


def said(code: str, before: Path | None = None) -> Any:
    path = [str(before)] if before else []
    code = f"import json, sys; sys.path[:0] = {path!r}\nfrom engine.protocol import without_the_sdk\n{code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("module", ["engine.language.host", "engine.cloudflare.__main__"])
@pytest.mark.slow
def test_a_plugin_imports_the_protocol_alone(module: str) -> None:
    code = f"""without_the_sdk()
import {module}
print(json.dumps([hasattr(sys.modules["pulumi"], "Output"), sorted(n for n in sys.modules if n.startswith("pulumi."))]))"""
    whole, modules = said(code)
    assert whole is False
    assert [name for name in modules if not name.startswith(("pulumi.runtime.proto", "pulumi.runtime._grpc"))] == [
        "pulumi.runtime"
    ]


@pytest.mark.slow
def test_a_process_that_has_the_sdk_keeps_it() -> None:
    code = "import pulumi\nwithout_the_sdk()\nprint(json.dumps(sys.modules['pulumi'] is pulumi and hasattr(pulumi, 'Output')))"
    assert said(code) is True


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"pulumi.py": "Output = 1\n"}, id="a module"),
        pytest.param({"pulumi/__init__.py": "Output = 1\n", "pulumi/runtime.py": ""}, id="another layout"),
        pytest.param({"pulumi/__init__.py": "Output = 1\n", "pulumi/runtime/__init__.py": ""}, id="no protocol"),
    ],
)
def test_another_layout_is_imported_plainly(tmp_path: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert said("without_the_sdk()\nimport pulumi\nprint(json.dumps(pulumi.Output))", before=tmp_path) == 1
