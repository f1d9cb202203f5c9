"""`python -m tests.official build | run PYTEST-ARGUMENTS`: tests with the official Cloudflare plugin's sources.

`build` compiles main.go (Go, the module proxy, some twenty minutes of CPU, once) and lays it out in build/official like an
installed plugin. `run` is pytest, for which that is the official plugin of this machine:
`python -m tests.official run tests/e2e/test_dns.py`. What the plugin is and is not: docs/decisions/097.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from engine import cloudflare_plugin
from engine.cloudflare_plugin import CHOICE, Source
from engine.layout import layout
from engine.plugins import Plugin

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
HOME = ROOT / "build" / "official"

PROVIDER = "github.com/cloudflare/terraform-provider-cloudflare"
TERRAFORM_SDK = "github.com/hashicorp/terraform-plugin-sdk/v2"
SERVICES = ("dns_record", "zero_trust_tunnel_cloudflared", "zero_trust_tunnel_cloudflared_config")
GO = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off"}


def plugin() -> Plugin:
    return cloudflare_plugin.plugin(cloudflare_plugin.wanted_version(layout(os.environ)))


def build() -> int:
    """Exit status of the compiler; it is quick where nothing has changed."""
    HOME.mkdir(parents=True, exist_ok=True)
    try:
        source, fork = copied(PROVIDER, "source"), copied(TERRAFORM_SDK, "sdk")
        provider = source / "internal" / "provider.go"
        provider.write_text(with_few_services(provider.read_text(encoding="utf-8")), encoding="utf-8")
        # The newest bridge that the module proxy has is older than Cloudflare's provider: the method is new between them.
        shutil.copyfile(
            HERE / "generate_resource_config.go.txt", fork / "helper" / "schema" / "generate_resource_config.go"
        )
        for name in ("go.mod", "go.sum"):
            shutil.copyfile(HERE / name, HOME / name)
        replaced = [f"-replace={name}={folder}" for name, folder in ((PROVIDER, source), (TERRAFORM_SDK, fork))]
        go("mod", "edit", *replaced, str(HOME / "go.mod"))
        go("build", f"-modfile={HOME / 'go.mod'}", "-o", str(plugin().executable_in(HOME / ".pulumi")), ".")
    except subprocess.CalledProcessError as failed:
        return failed.returncode
    return 0


def go(*arguments: str) -> str:
    """What it prints; its errors are shown. Raises CalledProcessError."""
    command = ["go", *arguments]
    return subprocess.run(command, cwd=HERE, env=GO, check=True, stdout=subprocess.PIPE, text=True).stdout


def copied(module: str, name: str) -> Path:
    """A copy of the module that go.mod means: what lies in Go's cache may be neither changed nor overlaid.

    Raises CalledProcessError.
    """
    # The module itself, or what stands in its place.
    found = json.loads(go("list", "-m", "-json", module))
    found = found.get("Replace") or found
    official = Path(json.loads(go("mod", "download", "-json", f"{found['Path']}@{found['Version']}"))["Dir"])
    copy = HOME / name
    shutil.rmtree(copy, ignore_errors=True)
    for file in (official / "go.mod", *official.rglob("*.go")):
        place = copy / file.relative_to(official)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    return copy


def with_few_services(text: str) -> str:
    """Cloudflare's list of all that its provider has, without what the program does not declare: an hour of compiling."""

    def kept(line: str) -> bool:
        named = re.search(r'/internal/services/(\w+)"$', line) or re.match(r"\t\t(\w+)\.New\w+,", line)
        return named is None or named[1] in SERVICES

    return "".join(f"{line}\n" for line in text.splitlines() if kept(line))


def run(arguments: list[str]) -> int:
    """Exit status of pytest, with a HOME in which the plugin is installed."""
    if not plugin().executable_in(HOME / ".pulumi").is_file():
        print("The official plugin is not built yet; build it with: python -m tests.official build", file=sys.stderr)
        return 2
    own = {
        "HOME": str(HOME),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache"),
        CHOICE: Source.OFFICIAL.value,
    }
    command = [sys.executable, "-m", "pytest", *arguments]
    try:
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **own}).returncode
    finally:
        # The clone's PULUMI_HOME holds links to it now; without them its next command looks anew.
        shutil.rmtree(plugin().directory(ROOT / ".state" / "pulumi-home"), ignore_errors=True)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["build"]:
            return build()
        case ["run", *rest]:
            return run(rest)
    print("usage: python -m tests.official build | run PYTEST-ARGUMENTS", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
