"""What Cloudflare refuses in a destroy or a refresh is said in sentences, where the engine has shown the plugin's text."""

from __future__ import annotations

import io
import os
import sys

import pytest

from commands.errors import UpFailedError
from commands.patience import overheard
from commands.refusals import Overheard
from commands.report.preview import compare

API = "https://api.cloudflare.com/client/v4"
URN = "urn:pulumi:prod::agentmail::azt3knet:mail:MailDomain$cloudflare:index/dnsRecord:DnsRecord::"


def refused(method: str, path: str, status: str, code: int, message: str) -> str:
    body = f'{{"result":null,"success":false,"errors":[{{"code":{code},"message":"{message}"}}],"messages":[]}}'
    return f'failed to make http request: {method} "{API}{path}": {status} {body}'


def record(method: str) -> str:
    return refused(method, "/zones/0f/dns_records/40", "403 Forbidden", 10000, "Authentication error")


TUNNEL = refused("DELETE", "/accounts/00/cfd_tunnel/6f", "400 Bad Request", 1022, "has active connections")
GONE = refused("DELETE", "/zones/0f/dns_records/41", "404 Not Found", 81044, "Record does not exist.")


def printed(*said: tuple[str, str, str], colour: bool = False) -> list[str]:
    red, plain = ("\x1b[31m", "\x1b[0m") if colour else ("", "")
    lines = [" -  cloudflare:index:DnsRecord mail-spf deleting (3s) error: " + record("DELETE"), "Diagnostics:"]
    for kind, name, text in said:
        lines += [f"  {kind} ({name}):", f"    {red}error: {plain}{text}", ""]
    return [line + "\n" for line in [*lines, "Resources:", "    - 4 deleted"]]


def heard(*said: tuple[str, str, str], reading: bool = False, colour: bool = False) -> list[str]:
    listener = Overheard("prod", reading=reading)
    for line in printed(*said, colour=colour):
        listener.hear(line)
    return listener.sentences


RECORD, DYNAMIC = "cloudflare:index:DnsRecord", "pulumi-python:dynamic/mailjet:Sender"


@pytest.mark.parametrize("colour", [False, True])
def test_each_reason_is_one_sentence_that_names_whom_it_met(colour: bool) -> None:
    [token, gone, tunnel] = heard(
        (RECORD, "mail-mx-parse.mailjet.com", record("DELETE")),
        (DYNAMIC, "platform-bounce", "agentmail: Mailjet failed with 503"),
        (RECORD, "mail-spf", record("DELETE")),
        (RECORD, "mail-dmarc", GONE),
        ("cloudflare:index:ZeroTrustTunnelCloudflared", "api-tunnel", TUNNEL),
        ("pulumi:pulumi:Stack", "agentmail-prod", "update failed"),
        colour=colour,
    )
    assert token.startswith("Cloudflare does not let this API token delete mail-mx-parse.mailjet.com, code 10000")
    assert "Zone.DNS Edit" in token
    assert "; likewise mail-spf;" in token
    assert token.endswith("record it first, with: ./mail apply prod")
    assert "somebody has deleted the record" in gone
    assert "a cloudflared is still connected to the tunnel" in tunnel
    assert not any("{" in sentence for sentence in (token, gone, tunnel))


def test_of_an_up_only_its_refresh_is_told_since_the_program_tells_the_rest() -> None:
    [read] = heard((RECORD, "mail-spf", record("GET")), (RECORD, "mail-dkim", record("POST")), reading=True)
    assert "let this API token read mail-spf" in read
    assert heard((RECORD, "mail-dkim", record("PUT")), reading=True) == []


@pytest.mark.parametrize("text", ["", "update failed", "GET https://x: 403", 'DELETE "ftp://x": 403', "error: {"])
def test_what_is_no_request_is_left_as_it_is(text: str) -> None:
    assert heard((RECORD, "mail-spf", text)) == []


def test_no_answer_and_an_unknown_code() -> None:
    silent = f'failed to make http request: DELETE "{API}/zones/0f/dns_records/1": dial tcp: connection refused'
    other = refused("DELETE", "/zones/0f/dns_records/1", "400 Bad Request", 4242, "no, because")
    assert ["gave no answer" in one for one in heard((RECORD, "mail-spf", silent))] == [True]
    assert ["said 'no, because', code 4242" in one for one in heard((RECORD, "mail-spf", other))] == [True]


def test_they_follow_the_failure() -> None:
    text = str(UpFailedError("The destroy of prod", 1, reasons=heard((RECORD, "mail-spf", record("DELETE")))))
    assert text.splitlines()[1].startswith("Cloudflare does not let this API token delete mail-spf")


def test_a_preview_that_refreshes_says_it_once() -> None:
    said = [
        {"urn": URN + name, "severity": "error", "message": f"error: Preview failed: {record('GET')}\n"}
        for name in ("mail-spf", "mail-dkim", "mail-dmarc")
    ]
    changes = compare([], [*said, {"severity": "error", "message": "error: preview failed\n"}], status=1)
    [error] = changes.errors
    assert error.startswith("Cloudflare does not let this API token read mail-spf, code 10000")
    assert "; likewise mail-dkim, mail-dmarc;" in error
    assert error.endswith("./mail apply prod")


def test_what_a_command_prints_is_shown_and_heard(capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys; print('one'); print('no', file=sys.stderr); print('tw\\xf6'); sys.exit(3)"
    lines: list[str] = []
    complaints: list[str] = []
    command = [sys.executable, "-c", script]
    assert overheard(command, environment=os.environ, hear=lines.append, complaint=complaints.append) == 3
    assert [line.strip() for line in lines] == ["one", "twö"]
    assert complaints == ["no\n"]
    assert capsys.readouterr() == ("".join(lines), "no\n")


def test_a_run_that_meets_another_says_whose_it_is() -> None:
    heard = Overheard("prod")
    for line in (
        "error: the stack is currently locked by 1 lock(s). Either wait",
        "  URL: created by a@b (pid 7) at T\n",
    ):
        heard.complaint(line)
    error = heard.error("The up of prod", 255)
    assert str(error).startswith("'prod' is locked by a@b (process 7) since T; wait")
    assert str(Overheard("prod").error("The up of prod", 255)).startswith("The up of prod failed (exit 255)")


class NobodyReads(io.StringIO):
    """The writing end of a pipe whose reader has left."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


def test_a_reader_who_has_left_does_not_stop_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is taken to the end, or it would wait for ever; then the broken pipe is told as ever."""
    lines: list[str] = []
    monkeypatch.setattr("sys.stdout", NobodyReads())
    with pytest.raises(BrokenPipeError):
        overheard([sys.executable, "-c", "print('y\\n' * 100000)"], environment=os.environ, hear=lines.append)
    assert len(lines) > 100_000
