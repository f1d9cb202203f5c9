"""Costs of commands, by process."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.bench.processes import CommandFailedError, Role, measure, peak_bytes, role_of

PYTHON = "/project/.venv/bin/python"


class TestRoles:
    @pytest.mark.parametrize(
        ("command", "role"),
        [
            ("/bin/sh /project/engine/pulumi -C /tmp/s up", Role.OTHER),
            (f"{PYTHON} /project/engine/__main__.py run -C /tmp/s up", Role.OTHER),
            ("pulumi -C /tmp/s up --stack dev", Role.ENGINE),
            ("/opt/pulumi/bin/pulumi up", Role.ENGINE),
            (f"{PYTHON} /project/engine/__main__.py plugin python 127.0.0.1:1", Role.LANGUAGE_HOST),
            ("/opt/pulumi/bin/pulumi-language-python -root=/tmp 127.0.0.1:1", Role.LANGUAGE_HOST),
            (f"{PYTHON} -u /project/engine/language/program.py --pwd=/tmp -- .", Role.PROGRAM),
            (f"{PYTHON} -u /opt/pulumi/bin/pulumi-language-python-exec --pwd /tmp", Role.PROGRAM),
            (f"{PYTHON} -u /project/engine/dynamic_host.py 127.0.0.1:1", Role.MAILJET),
            (f"{PYTHON} -u -m pulumi.dynamic 127.0.0.1:1", Role.MAILJET),
            (f"{PYTHON} /project/engine/__main__.py plugin pulumi-python 127.0.0.1:1", Role.MAILJET),
            (f"{PYTHON} /project/engine/__main__.py plugin cloudflare 127.0.0.1:1", Role.CLOUDFLARE),
            ("/home/u/.pulumi/plugins/resource-cloudflare-v6/pulumi-resource-cloudflare 1", Role.CLOUDFLARE),
            ("uname -p", Role.OTHER),
        ],
    )
    def test_of_this_engine_and_of_the_official_one(self, command: str, role: Role) -> None:
        assert role_of(command) is role


class TestMeasuring:
    @pytest.mark.slow
    def test_cpu_time_and_memory_of_a_child_and_its_child(self, tmp_path: Path) -> None:
        work = "held = bytearray(60_000_000); sum(i * i for i in range(6_000_000))"
        parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}], check=True)"
        cost = measure([sys.executable, "-c", parent], environment=os.environ, folder=tmp_path)
        assert cost.cpu_seconds > 0
        assert cost.peak_bytes > 60_000_000
        assert set(cost.cpu) == {Role.OTHER}

    def test_a_command_that_fails_tells_its_output(self, tmp_path: Path) -> None:
        with pytest.raises(CommandFailedError, match=r"ended with 3:\n(?s:.*)out of luck"):
            measure(
                [sys.executable, "-c", "print('out of luck'); raise SystemExit(3)"],
                environment=os.environ,
                folder=tmp_path,
            )

    def test_peak_memory_is_read_from_the_status_of_a_process(self) -> None:
        assert peak_bytes("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 1 kB\n") == 2 * 1024 * 1024
        assert peak_bytes("Name:\tx\nState:\tZ (zombie)\n") == 0
