"""Tries an answer out at once: what Cloudflare and Mailjet say to a token, a zone, an account, a key."""

from __future__ import annotations

from collections.abc import Iterable

from clients.cloudflare.client import CloudflareError
from clients.cloudflare.lookups import Cloudflare, Zone
from commands.cli.console import working
from commands.doctor.credentials import (
    ZoneWanted,
    cloudflare_findings,
    mailjet_api,
    mailjet_findings,
    token_sentence,
)
from commands.doctor.finding import Finding, Status
from settings.model import Settings

USUAL_MAILJET = str(Settings.model_fields["mailjet_api_url"].default)


class RefusedAnswerError(Exception):
    """The service does not take the answer; the sentence says why, and another answer may do."""


class UnreachableServiceError(Exception):
    """Nobody answers, so no other answer would do better."""


class Trials:
    """Asks the real services, or the emulators where the environment lives on them."""

    def __init__(self, *, cloudflare_url: str, mailjet_url: str) -> None:
        self._cloudflare_url = cloudflare_url
        self._mailjet_url = mailjet_url or USUAL_MAILJET

    def zones(self, token: str) -> list[Zone]:
        """The zones that the token may see; none where it may not list them.

        Raises RefusedAnswerError for a token that Cloudflare does not know, UnreachableServiceError.
        """
        api = Cloudflare(self._cloudflare_url, token)
        with working("Trying the token at Cloudflare"):
            try:
                return api.zones()
            except CloudflareError as error:
                if error.status is None:
                    raise UnreachableServiceError(token_sentence(error)) from None
                refusal = error
            try:
                api.verify_token()
            except CloudflareError:
                raise RefusedAnswerError(token_sentence(refusal)) from None
        return []

    def zone(self, token: str, zone_id: str, zone_name: str) -> None:
        """Raises RefusedAnswerError where it is another zone, is not active, or the token may not read its records."""
        wanted = ZoneWanted(zone_id=zone_id, zone_name=zone_name)
        with working(f"Looking at the zone {zone_name}"):
            _judge(cloudflare_findings(Cloudflare(self._cloudflare_url, token), wanted))

    def account(self, token: str, account_id: str, *, zone_id: str, zone_name: str) -> None:
        """Raises RefusedAnswerError where the token may not read the account's tunnels."""
        wanted = ZoneWanted(zone_id=zone_id, zone_name=zone_name, account_id=account_id)
        with working("Looking at the account's tunnels"):
            _judge(cloudflare_findings(Cloudflare(self._cloudflare_url, token), wanted))

    def mailjet(self, key: str, secret: str) -> None:
        """Raises RefusedAnswerError where Mailjet does not take the key, or its plan has no inbound mail."""
        with working("Trying the key at Mailjet"):
            _judge(mailjet_findings(mailjet_api(self._mailjet_url, key, secret)))


def _judge(findings: Iterable[Finding]) -> None:
    wrong = [finding.sentence for finding in findings if finding.status is Status.ERROR]
    if wrong:
        raise RefusedAnswerError(" ".join(wrong))
