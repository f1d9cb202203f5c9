"""What Cloudflare refuses in a destroy or a refresh is said in sentences, where the engine has shown the plugin's text."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

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


def listened(*said: tuple[str, str, str], colour: bool = False) -> tuple[list[str], str]:
    """The sentences at the end, and what is shown before them."""
    listener = Overheard("prod")
    shown = "".join(listener.shown(line) for line in printed(*said, colour=colour))
    return listener.sentences, shown


def heard(*said: tuple[str, str, str], colour: bool = False) -> list[str]:
    return listened(*said, colour=colour)[0]


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


STACK = "pulumi:pulumi:Stack"
UNHANDLED = "an unhandled error occurred: program exited with non-zero exit code: 1"


@pytest.mark.parametrize("colour", [False, True])
def test_what_the_program_has_told_of_is_not_told_again_and_the_plugins_text_is_not_shown(colour: bool) -> None:
    ours = "Cloudflare does not let this API token create mail-dkim (x TXT), code 10000; expected more"
    sentences, shown = listened(
        (STACK, "agentmail-prod", ours),
        (STACK, "agentmail-prod", UNHANDLED),
        (RECORD, "mail-spf", record("GET")),
        (RECORD, "mail-dkim", record("POST")),
        (DYNAMIC, "platform-bounce", "agentmail: Mailjet failed with 503"),
        colour=colour,
    )
    assert len(sentences) == 1
    assert "let this API token read mail-spf" in sentences[0]
    assert ours in shown
    assert "Mailjet failed with 503" in shown
    for noise in ("http request", "{", "unhandled", "(mail-spf)", "(mail-dkim)"):
        assert noise not in shown


def test_the_rest_of_what_the_engine_prints_stays_as_it_is() -> None:
    listener = Overheard("prod")
    lines = [
        " +  cloudflare:index:DnsRecord mail-spf creating (0s)\n",
        "Diagnostics:\n",
        "  cloudflare:index:DnsRecord (mail-spf):\n",
        "    warning: told\n",
        "    error: of several\n      lines, error: too\n",
        "\n",
        "Outputs:\n",
    ]
    assert [listener.shown(line) for line in lines] == [*lines[:2], "", "".join(lines[2:4]), *lines[4:]]


def test_the_engines_own_recommendation_after_a_destroy_is_kept_back() -> None:
    listener = Overheard("dev")
    hint = "If you want to remove the stack completely, run `pulumi stack rm dev`.\n"
    assert listener.shown(hint) == ""


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


def kept() -> tuple[list[str], Callable[[str], str]]:
    """A list, and what fills it with all that it is shown."""
    lines: list[str] = []

    def keep(line: str) -> str:
        lines.append(line)
        return line

    return lines, keep


def test_what_a_command_prints_is_shown_and_heard(capsys: pytest.CaptureFixture[str]) -> None:
    script = "import sys; print('one'); print('no', file=sys.stderr); print('tw\\xf6'); sys.exit(3)"
    lines, keep = kept()
    complaints, keep_complaint = kept()
    command = [sys.executable, "-c", script]
    assert overheard(command, environment=os.environ, shown=keep, complained=keep_complaint) == 3
    assert [line.strip() for line in lines] == ["one", "twö"]
    assert complaints == ["no\n"]
    assert capsys.readouterr() == ("".join(lines), "no\n")


def test_a_run_that_meets_another_says_whose_it_is() -> None:
    heard = Overheard("prod")
    for line in (
        "error: the stack is currently locked by 1 lock(s). Either wait",
        "  URL: created by a@b (pid 7) at 2026-11-26T07:04:59Z\n",
    ):
        assert heard.complained(line) == ""
    error = heard.error("The up of prod", 255)
    assert str(error).startswith("'prod' is locked by a@b (process 7) since 2026-11-26T07:04:59Z; wait")
    assert str(Overheard("prod").error("The up of prod", 255)).startswith("The up of prod failed (exit 255)")


class NobodyReads(io.StringIO):
    """The writing end of a pipe whose reader has left."""

    def write(self, _text: str, /) -> int:
        raise BrokenPipeError


def test_a_reader_who_has_left_does_not_stop_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is taken to the end, or it would wait for ever; then the broken pipe is told as ever."""
    lines, keep = kept()
    monkeypatch.setattr("sys.stdout", NobodyReads())
    with pytest.raises(BrokenPipeError):
        overheard([sys.executable, "-c", "print('y\\n' * 100000)"], environment=os.environ, shown=keep)
    assert len(lines) > 100_000
