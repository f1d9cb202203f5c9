"""The gateway as an agent meets it: reachable, its certificate, a login, a refused spoof; and the account's login behind it."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from azmail.contract import Mailbox
from commands.doctor.finding import Check, Finding
from commands.doctor.stack import ExaminedStack
from mailboxes import remedies
from zone.names import is_loopback_host

GATEWAY = Check("gateway")
UPSTREAM = Check("upstream")
TIMEOUT_SECONDS = 10.0
_NOT_THIS_SENDER = 553
_STRANGER = "nobody@doctor.invalid"


def gateway_findings(examined: ExaminedStack, *, ca_file: str, without_file: bool = False) -> Iterator[Finding]:
    """Nothing for a stack whose agents send through Mailjet itself. No mail is sent. `without_file`: it is that of an
    embedded default whose services have not been given their file."""
    settings = examined.settings
    if not settings.has_gateway:
        return
    label = f"{settings.smtp_host}:{settings.smtp_port}"
    if without_file:
        yield GATEWAY.warning(
            label, f"The gateway of the embedded default has not been given its file: give it one with: {remedies.up()}"
        )
        return
    try:
        with _session(settings.smtp_host, settings.smtp_port, ca_file=ca_file) as (client, trusted):
            yield _certificate(label, trusted=trusted, named=bool(ca_file))
            if examined.mailboxes:
                yield from _as_an_agent(examined.stack, examined.mailboxes, client)
    except (OSError, smtplib.SMTPException) as error:
        yield _away(examined, label, error)


@contextmanager
def _session(host: str, port: int, *, ca_file: str) -> Iterator[tuple[smtplib.SMTP, bool]]:
    """A session behind STARTTLS, and whether its certificate is one to trust. Raises OSError and SMTPException."""
    verified = ssl.create_default_context(cafile=ca_file or None)
    unverified = ssl.create_default_context()
    unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
    trusted = True
    client = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
    try:
        client.starttls(context=verified)
    except ssl.SSLCertVerificationError:
        client.close()
        trusted = False
        client = smtplib.SMTP(host, port, timeout=TIMEOUT_SECONDS)
        client.starttls(context=unverified)
    try:
        yield client, trusted
    finally:
        client.close()


def _certificate(label: str, *, trusted: bool, named: bool) -> Finding:
    if trusted:
        return GATEWAY.ok(label, "Reachable by STARTTLS, with a certificate that is trusted.")
    if named:
        return GATEWAY.error(
            label,
            "Its certificate is not of the authority in --ca-file, or for another name: give doctor and the agents the "
            "gateway's ca.pem, and start the gateway with --name for the host that agents use.",
        )
    return GATEWAY.warning(
        label,
        "Reachable by STARTTLS; whether its certificate is the right one cannot be seen without its authority: say "
        "--ca-file with the gateway's ca.pem.",
    )


def _as_an_agent(stack: str, mailboxes: Sequence[Mailbox], client: smtplib.SMTP) -> Iterator[Finding]:
    first = mailboxes[0]
    other = mailboxes[-1].address if len(mailboxes) > 1 else _STRANGER
    try:
        client.login(first.smtp_username, first.smtp_password)
    except smtplib.SMTPAuthenticationError as refused:
        yield GATEWAY.error(
            first.address,
            f"The gateway refuses the agent's own login ({refused.smtp_code}): it has another file than this stack's; give it "
            f"the present one with: {remedies.mail('gateway', 'file', '--stack', stack)}, for the embedded default with: "
            f"{remedies.up()}",
        )
        return
    yield GATEWAY.ok(first.address, "The agent's own login is taken.")
    code, said = client.mail(other)
    if code == _NOT_THIS_SENDER:
        yield GATEWAY.ok(f"{first.address} as {other}", "Refused: an agent sends as itself alone.")
    else:
        yield GATEWAY.error(
            f"{first.address} as {other}",
            f"Not refused ({code} {said[:60].decode('ascii', 'replace')}), expected {_NOT_THIS_SENDER}: whatever listens there "
            "is not the gateway; look at gatewayHost and gatewayPort.",
        )


def _away(examined: ExaminedStack, label: str, error: OSError | smtplib.SMTPException) -> Finding:
    reason = getattr(error, "strerror", None) or type(error).__name__
    if is_loopback_host(examined.settings.smtp_host):
        return GATEWAY.error(label, f"The gateway does not answer ({reason}): start it with: {remedies.up()}")
    return GATEWAY.warning(
        label,
        f"The gateway cannot be reached from here ({reason}); it is on the platform's network as a rule: run this beside the "
        "platform, or look there whether it runs (docker compose ps mail-gateway).",
    )


def upstream_findings(examined: ExaminedStack, *, ca_file: str) -> Iterator[Finding]:
    """Whether Mailjet takes the account's login by SMTP, which is how the gateway sends."""
    settings = examined.settings
    if settings.has_gateway and settings.mailjet_api_key and settings.mailjet_api_secret:
        yield _upstream(examined, ca_file=ca_file)


def _upstream(examined: ExaminedStack, *, ca_file: str) -> Finding:
    settings = examined.settings
    label = f"{settings.mailjet_smtp_host}:{settings.mailjet_smtp_port}"
    try:
        with smtplib.SMTP(settings.mailjet_smtp_host, settings.mailjet_smtp_port, timeout=TIMEOUT_SECONDS) as client:
            client.starttls(context=ssl.create_default_context(cafile=ca_file or None))
            client.login(settings.mailjet_api_key, settings.mailjet_api_secret)
    except smtplib.SMTPAuthenticationError as refused:
        return UPSTREAM.error(
            label,
            f"Mailjet refuses the account that the gateway sends with ({refused.smtp_code}), so no agent's mail goes out: put "
            f"a key that is good with: {remedies.set_secret('mailjetApiSecret', stack=examined.stack)}, then "
            f"{remedies.apply(examined.stack)} and give the gateway its file.",
        )
    except (OSError, smtplib.SMTPException) as error:
        return UPSTREAM.warning(
            label,
            f"Mailjet's SMTP cannot be reached from here ({getattr(error, 'strerror', None) or type(error).__name__}); the "
            "gateway needs it: look whether port and certificates are open to it.",
        )
    return UPSTREAM.ok(label, "Mailjet takes the login of the account behind the gateway.")
