"""What importing costs the program, before it has done anything."""

from __future__ import annotations

import ast
import sys

from tests.bench.processes import measure
from tests.e2e.stack import ROOT, clean_environment


def import_lines(source: str) -> str:
    """The import statements of a program, without all the rest."""
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    return ast.unparse(tree)


def import_cpu_seconds(code: str) -> float:
    """CPU seconds of a Python that runs `code` alone; the second of two runs, when files and byte code are warm."""
    for _ in range(2):
        cost = measure([sys.executable, "-c", code], environment=clean_environment(), folder=ROOT)
    return cost.cpu_seconds


def measured_imports() -> dict[str, float]:
    """CPU seconds: a bare Python, Pulumi's SDK, the Cloudflare SDK, everything that the program imports."""
    return {
        "Python itself": import_cpu_seconds("pass"),
        "pulumi": import_cpu_seconds("import pulumi"),
        "pulumi_cloudflare": import_cpu_seconds("import pulumi_cloudflare"),
        "all of the program's": import_cpu_seconds(import_lines((ROOT / "__main__.py").read_text())),
    }
