"""`./mail agents addresses | import | check`: what it prints, where, and with which exit code."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from commands.cli.running import main
from emulators.serving import ServerThread
from tests import forks

ROOT = Path(__file__).parents[3]
MAIL = forks.project() / "mail"
FIXTURES = ROOT / "tests" / "fixtures"
SECOND = "20241005123045"
THREE = str(FIXTURES / "population-3.json")

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command line in November 2024, for a project that is `tmp_path`."""
    now = datetime(2024, 11, 6, 8, tzinfo=UTC)
    monkeypatch.setattr("commands.agents.utc_now", lambda: now)
    project = ("-C", str(tmp_path))

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        words = [*map(str, arguments)]
        code = main(["agents", *words, *(project if words[0] == "import" and "--help" not in words else ())])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    """A hand-made file in which some do not get their first choice."""
    file = tmp_path / "crowd.yaml"
    agents = "".join(f"- {{id: agent-{number:05}, name: Maria Nunez}}\n" for number in range(100))
    file.write_text(f"seed: crowd\ncreated_at: {SECOND}\nagents:\n{agents}")
    return file


class TestAddresses:
    def test_json_sorted_by_agent_id(self, run: Run) -> None:
        code, out, err = run("addresses", THREE, "--domain", "agents.example", "--created-at", SECOND)

        assert (code, err) == (0, "")
        assert list(json.loads(out).items()) == [
            ("538605c0-4728-53d9-b533-76e2b3da240c", "vector.aurora.164.20241005123045@agents.example"),
            ("aa5f8d18-82f1-5c4f-94de-d405b8bee17c", "glyph.vector.978.20241005123045@agents.example"),
            ("e1f8a769-dac9-5019-a3cf-40de98ff6020", "glyph.glyph.707.20241005123045@agents.example"),
        ]

    def test_several_files_and_single_mailboxes(self, run: Run, crowd: Path) -> None:
        code, out, _ = run(
            "addresses", crowd, FIXTURES / "population-5-array.json", "--domain", "a.example", "--seed", "s",
            "--created-at", SECOND, "--single", "427", "--single", "bot", "--prefix", "x_",
        )  # fmt: skip

        assert code == 0
        assert len(json.loads(out)) == 107
        assert json.loads(out)["427"] == "x_427@a.example"

    def test_the_seed_decides_the_digits(self, run: Run) -> None:
        arguments = ("addresses", THREE, "--domain", "a.example", "--created-at", SECOND)

        assert run(*arguments) == run(*arguments, "--seed", "20241005")
        assert run(*arguments) != run(*arguments, "--seed", "other")

    def test_problems_go_to_stderr(self, run: Run) -> None:
        code, out, err = run("addresses", THREE, "--domain", "agents.example")

        assert (code, out) == (1, "")
        assert err.startswith(f"{THREE}: has no created_at, and none of its agents (3)")

    @pytest.mark.parametrize("domain", ["", "localhost", "a b.example"])
    def test_a_domain_that_is_none(self, run: Run, domain: str) -> None:
        code, out, err = run("addresses", THREE, "--domain", domain, "--created-at", SECOND)

        assert (code, out) == (1, "")
        assert err.startswith(f"domain {domain!r} cannot stand in an address; ")


class TestImport:
    def test_report(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "prod.yaml"

        assert run("import", THREE, file) == (
            0,
            f"{file}: written; 3 added, 0 kept, 0 gone\n"
            "added:\n"
            "  538605c0-4728-53d9-b533-76e2b3da240c  Vector Aurora  vector.aurora.164.20241106080000\n"
            "  e1f8a769-dac9-5019-a3cf-40de98ff6020  Glyph Glyph  glyph.glyph.707.20241106080000\n"
            "  aa5f8d18-82f1-5c4f-94de-d405b8bee17c  Glyph Vector  glyph.vector.978.20241106080000\n",
            "",
        )
        assert run("import", THREE, file) == (0, f"{file}: unchanged; 0 added, 3 kept, 0 gone\n", "")

    def test_renamed_gone_and_pruned(self, run: Run, tmp_path: Path) -> None:
        file, export = tmp_path / "prod.yaml", tmp_path / "export.json"
        run("import", THREE, file)
        export.write_text('[{"id": "538605c0-4728-53d9-b533-76e2b3da240c", "name": "Vector\\nPolaris"}]')

        code, out, _ = run("import", export, file, "--prune")

        assert code == 0
        assert out == (
            f"{file}: written; 0 added, 1 kept, 2 gone\n"
            "renamed, address kept:\n"
            "  538605c0-4728-53d9-b533-76e2b3da240c  Vector Aurora -> 'Vector\\nPolaris'\n"
            "pinned:\n"
            "  538605c0-4728-53d9-b533-76e2b3da240c  vector.aurora.164.20241106080000\n"
            "gone, removed:\n"
            "  e1f8a769-dac9-5019-a3cf-40de98ff6020  Glyph Glyph\n"
            "  aa5f8d18-82f1-5c4f-94de-d405b8bee17c  Glyph Vector\n"
        )

    def test_gone_ones_stay(self, run: Run, tmp_path: Path) -> None:
        file, export = tmp_path / "prod.yaml", tmp_path / "export.json"
        run("import", THREE, file)
        export.write_text("[]")

        _, out, _ = run("import", export, file)

        assert out.startswith(
            f"{file}: unchanged; 0 added, 0 kept, 3 gone\ngone, kept in the file (--prune removes them):\n"
        )

    def test_dry_run(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "prod.yaml"

        code, out, _ = run("import", FIXTURES / "population-100.json", file, "--dry-run")

        assert code == 0
        assert out.startswith(f"{file}: would change; 100 added, 0 kept, 0 gone\nadded:\n")
        assert out.endswith("  and 80 more\n")
        assert not file.exists()

    def test_beside(self, run: Run, tmp_path: Path) -> None:
        run("import", THREE, tmp_path / "other.yaml")

        code, _, err = run("import", THREE, tmp_path / "prod.yaml", "--beside", tmp_path / "other.yaml")

        assert code == 1
        assert err.startswith("3 problems:\n")
        assert err.count("an agent belongs to one population") == 3
        assert not (tmp_path / "prod.yaml").exists()

    def test_a_stamp_in_the_future(self, run: Run, tmp_path: Path) -> None:
        code, _, err = run("import", THREE, tmp_path / "prod.yaml", "--created-at", "20991231235959")

        assert code == 1
        assert err.startswith("--created-at: created_at '20991231235959' lies in the future")

    def test_the_clock_of_the_stack_s_mailjet_is_asked(self, run: Run, tmp_path: Path) -> None:
        """The emulator of this test says today; the command is told that it is 2024."""

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await Response(status_code=401)(scope, receive, send)

        file = tmp_path / "prod.yaml"
        (tmp_path / "Pulumi.other.yaml").write_text("config: {agentmail:populations: [{file: elsewhere.yaml}]}\n")
        (tmp_path / "Pulumi.broken.yaml").write_text("config: [\n")
        with ServerThread(app) as server:
            (tmp_path / "Pulumi.prod.yaml").write_text(
                f"config:\n  agentmail:mailjetApiUrl: {server.url}\n  agentmail:populations: [{{file: prod.yaml}}]\n"
            )
            code, _, err = run("import", THREE, file)
            assert code == 1
            assert "the clock of this machine says 20241106080000 UTC and Mailjet's API says 20" in err
            assert not file.exists()
            assert run("import", THREE, file, "--created-at", SECOND)[0] == 0
        # Nobody answers any more, and populations are made offline, too.
        assert run("import", FIXTURES / "population-5-array.json", file)[0] == 0

    def test_stamps_that_a_clock_ahead_has_made(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "prod.yaml"
        file.write_text("seed: '20241005'\ncreated_at: 29991231235959\nagents:\n- {id: a1, name: Ada Low}\n")
        code, _, err = run("check", file)
        assert (code, err.count("lies in the future")) == (0, 1)
        assert "a preview refuses it to newcomers" in err
        assert run("check", file, "--strict")[0] == 1
        code, _, err = run("import", file, file)
        assert (code, err.count("the mailboxes that have it keep it")) == (0, 1)


class TestCheck:
    def test_summary(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "prod.yaml"
        run("import", THREE, file)
        run("import", FIXTURES / "population-5-array.json", file, "--created-at", SECOND)

        assert run("check", file) == (
            0,
            f"{file}: 8 agents, seed 20241005, created_at 20241005123045 (5), 20241106080000 (3), 0 pinned\n",
            "",
        )

    def test_bumped_agents_are_warned_of(self, run: Run, crowd: Path) -> None:
        code, out, err = run("check", crowd)

        assert code == 0
        assert out == f"{crowd}: 100 agents, seed crowd, created_at 20241005123045 (100), 0 pinned\n"
        assert err.startswith("warning: 6 agents did not get a first choice and may move when somebody joins or")
        assert "\n  agent agent-00078: local_part: maria.nunez.428.20241005123045\n" in err
        assert run("check", crowd, "--strict")[0] == 1

        # What the warning advises.
        run("import", crowd, crowd)
        assert run("check", crowd, "--strict") == (0, out.replace("0 pinned", "6 pinned"), "")

    def test_many_stamps(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "prod.yaml"
        agents = "".join(f"- {{id: a{n}, name: B C, created_at: 2024100512304{n}}}\n" for n in range(5))
        file.write_text(f"seed: s\nagents:\n{agents}")

        code, out, _ = run("check", file)

        assert code == 0
        assert out.endswith("20241005123040 (1), 20241005123041 (1), 20241005123042 (1) and 2 more, 0 pinned\n")

    def test_pinned_without_a_stamp(self, run: Run, tmp_path: Path) -> None:
        file = tmp_path / "prod.yaml"
        file.write_text("agents: [{id: a1, local_part: bot}]")

        assert run("check", file) == (0, f"{file}: 1 agent, created_at no stamp (1), 1 pinned\n", "")

    def test_all_problems_of_all_files(self, run: Run, tmp_path: Path) -> None:
        one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
        one.write_text("agents:\n- {id: a1}\n- {id: a1}\n")
        two.write_text("")

        code, out, err = run("check", one, two)

        assert (code, out) == (1, "")
        assert err.splitlines()[0] == "5 problems:"
        assert err.splitlines()[-1].startswith(f"  {two}: is blank")

    def test_an_agent_in_two_files(self, run: Run, crowd: Path) -> None:
        code, _, err = run("check", crowd, crowd)

        assert code == 1
        assert err == f"{crowd}: is listed twice under `populations`, as {crowd} too; list it once\n"


class TestUsage:
    @pytest.mark.parametrize("arguments", [["addresses"], ["addresses", THREE], ["import", THREE], ["frobnicate"]])
    def test_wrong_usage(self, run: Run, arguments: list[str]) -> None:
        code, out, err = run(*arguments)

        assert (code, out) == (2, "")
        assert err.count("\n") == 1
        assert err.endswith(" --help\n")

    @pytest.mark.parametrize("command", ["addresses", "import", "check"])
    def test_help(self, run: Run, command: str) -> None:
        code, out, _ = run(command, "--help")

        assert code == 0
        assert f"Usage: ./mail agents {command} " in out


@pytest.mark.slow
class TestProcess:
    """What only a process of its own shows."""

    def test_addresses(self) -> None:
        result = self.process("addresses", THREE, "--domain", "agents.example", "--created-at", SECOND)

        assert (result.returncode, result.stderr) == (0, b"")
        assert len(json.loads(result.stdout)) == 3

    def test_an_error_is_no_traceback(self) -> None:
        result = self.process("check", "no-such.yaml")

        assert (result.returncode, result.stdout) == (1, b"")
        assert result.stderr == (
            b"no-such.yaml: cannot be read (no such file or directory); expected a population file\n"
        )

    def test_a_terminal_without_unicode(self, tmp_path: Path) -> None:
        export = tmp_path / "export.json"
        export.write_text('[{"id": "a1", "name": "王 小明"}]', encoding="utf-8")

        result = self.process(
            "import", str(export), str(tmp_path / "prod.yaml"), "--seed", "s", PYTHONIOENCODING="ascii:strict"
        )

        assert result.returncode == 0
        assert b"\\u738b \\u5c0f\\u660e" in result.stdout
        assert "王 小明" in (tmp_path / "prod.yaml").read_text(encoding="utf-8")

    def test_a_reader_that_leaves(self, tmp_path: Path) -> None:
        file = tmp_path / "many.yaml"
        agents = "".join(f"- {{id: a{number}, local_part: bot{number}}}\n" for number in range(5000))
        file.write_text(f"agents:\n{agents}")
        reading, writing = os.pipe()
        os.close(reading)

        result = subprocess.run(
            [MAIL, "agents", "addresses", str(file), "--domain", "a.example"],
            cwd=ROOT,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)

        assert (result.returncode, result.stderr) == (141, b"")

    def process(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [MAIL, "agents", *arguments],
            cwd=ROOT,
            env={**os.environ, **environment},
            capture_output=True,
            check=False,
        )


class TestEmbeddedDefault:
    """populations/dev.yaml, as a fresh clone has it."""

    def test_it_is_what_import_makes_of_the_export(self, run: Run) -> None:
        file = ROOT / "populations" / "dev.yaml"

        code, out, _ = run("import", FIXTURES / "population-100.json", file, "--dry-run")

        assert (code, out) == (0, f"{file}: unchanged; 0 added, 100 kept, 0 gone\n")
        assert run("check", file, "--strict")[0] == 0
