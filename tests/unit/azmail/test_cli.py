"""`python -m azmail`, run as people and containers run it."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from azmail.__main__ import main
from tests.unit.azmail.conftest import (
    ADDRESS_A,
    ADDRESSES,
    AGENT_A,
    Certificates,
    shared,
    stack_outputs,
)
from tests.unit.azmail.servers import PASSWORD, USER, Answer, HttpServer, SmtpServer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PATH = "/api/webhooks/mailjet/inbound"


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(stack_outputs()))
    return file


class TestEnv:
    def test_it_prints_every_variable(self, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["env", str(outputs)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 25
        assert f"MAILJET_API_KEY={USER}" in lines
        assert "MAILJET_INBOUND_SECRET=" in lines

    def test_it_writes_a_private_file(self, outputs: Path, tmp_path: Path) -> None:
        file = tmp_path / ".env"
        file.write_text("old")
        file.chmod(0o644)
        assert main(["env", str(outputs), "-o", str(file)]) == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert f"MAILJET_API_SECRET={PASSWORD}\n" in file.read_text()

    def test_a_full_disk_leaves_the_old_file_whole(
        self, outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """RLIMIT_FSIZE cuts a write where a full disk would."""
        limited = "import resource, signal, sys; from azmail.__main__ import main; "
        limited += "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        limited += "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)); sys.exit(main(sys.argv[1:]))"
        for words in (["env", str(outputs)], ["schema"]):
            file = tmp_path / "old"
            file.write_text("whole\n")
            done = subprocess.run(
                [sys.executable, "-c", limited, *words, "-o", str(file)], cwd=ROOT, capture_output=True, text=True
            )
            assert (done.returncode, file.read_text()) == (1, "whole\n")
            assert done.stderr.count("\n") == 1
            assert "File too large" in done.stderr
        assert {path.name for path in tmp_path.iterdir()} == {outputs.name, "old"}

    def test_a_link_does_not_lead_the_secrets_elsewhere(self, outputs: Path, tmp_path: Path) -> None:
        elsewhere, link = tmp_path / "elsewhere", tmp_path / ".env"
        elsewhere.write_text("theirs")
        link.symlink_to(elsewhere)
        assert main(["env", str(outputs), "-o", str(link)]) == 0
        assert (elsewhere.read_text(), link.is_symlink()) == ("theirs", False)

    def test_a_terminal_or_a_pipe_is_written_to(self, outputs: Path) -> None:
        for words in (["env", str(outputs)], ["schema"]):
            done = subprocess.run(
                [sys.executable, "-m", "azmail", *words, "-o", "/dev/stderr"],
                cwd=ROOT, capture_output=True, text=True, check=True,
            )  # fmt: skip
            assert "MAILJET" in done.stderr or "$defs" in done.stderr

    def test_unsafe_values_and_wrong_outputs_are_one_sentence(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        unsafe = stack_outputs()
        unsafe["platformEnv"]["MAILJET_API_SECRET"] = "hunter2 $HOME"
        for wrong in (unsafe, stack_outputs(contractVersion="3.0"), {}):
            file = tmp_path / "wrong.json"
            file.write_text(json.dumps(wrong))
            assert main(["env", str(file)]) == 1
            shown = capsys.readouterr()
            assert shown.out == ""
            assert shown.err.count("\n") == 1
            assert "hunter2" not in shown.err

    def test_from_standard_input(self) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "azmail", "env", "-"],
            input=json.dumps(stack_outputs()),
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert "AZT3KNET_DOMAIN=dev.agents.example\n" in done.stdout

    def test_a_file_that_cannot_be_written(self, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["env", str(outputs), "-o", "/no/such/folder/.env"]) == 1
        assert capsys.readouterr().err == "azmail: cannot write /no/such/folder/.env (No such file or directory)\n"


class TestMailboxes:
    def test_without_secrets_unless_asked(self, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["mailboxes", str(outputs)]) == 0
        assert f"{AGENT_A}  {ADDRESS_A}\n" in capsys.readouterr().out
        assert main(["mailboxes", str(outputs), "--json"]) == 0
        shown = capsys.readouterr().out
        assert json.loads(shown)[0] == {"agent_id": AGENT_A, "address": ADDRESS_A}
        assert PASSWORD not in shown
        assert main(["mailboxes", str(outputs), "--show-secrets"]) == 0
        assert json.loads(capsys.readouterr().out) == [
            {"agent_id": agent_id, "address": address, **shared()} for agent_id, address in ADDRESSES.items()
        ]


class TestSchema:
    def test_print_write_and_check(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["schema"]) == 0
        printed = capsys.readouterr().out
        assert main(["schema", "-o", str(tmp_path / "s.json")]) == 0
        assert (tmp_path / "s.json").read_text() == printed
        assert main(["schema", "--check"]) == 0


class TestSend:
    def test_by_smtp(
        self, smtp: SmtpServer, certificates: Certificates, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "outputs.json"
        file.write_text(json.dumps(stack_outputs({"smtp_host": smtp.host, "smtp_port": smtp.port})))
        arguments = ["send", str(file), "--agent", AGENT_A, "--to", "ada@example.com"]
        assert main([*arguments, "--ca-file", str(certificates.ca_file)]) == 0
        assert json.loads(capsys.readouterr().out)["from"] == ADDRESS_A
        assert smtp.script.accepted[0].rcpt_tos == ["ada@example.com"]
        assert main(arguments) == 1
        assert "ca_file" in capsys.readouterr().err

    def test_by_api(self, http: HttpServer, outputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
        http.answer = lambda request: Answer(200, {"Messages": [{"Status": "success", "To": [{"MessageID": 5}]}]})
        assert main(["send", str(outputs), "--agent", AGENT_A, "--to", "ada@example.com", "--api", http.url]) == 0
        assert json.loads(capsys.readouterr().out)["mailjet_ids"] == [5]


def test_the_package_imports_nothing_of_the_program_and_no_server() -> None:
    script = (
        "import sys, azmail; "
        "names = {name.partition('.')[0] for name in sys.modules}; "
        "print(sorted(names & {'pulumi', 'mailboxes', 'zone', 'providers', 'components', 'emulators', 'uvicorn', 'httpx'}))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
