"""What a person is asked for: only what neither a flag nor a file has said, the token first, each answer tried at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from clients.cloudflare.lookups import Zone
from commands.environments.asking import Asker
from commands.environments.draft import API_TOKEN, INBOX_SERVICE, VARIABLES, Draft
from commands.environments.errors import InputProblemsError
from commands.environments.trying import RefusedAnswerError, Trials, UnreachableServiceError
from settings.values import DomainName, HexId, NeighbourUrl, SecureUrl
from zone.names import is_within

ATTEMPTS = 3
"""How often a secret is asked for that its service refuses: Mailjet blocks an address that keeps knocking."""

T = TypeVar("T")


class Interview:
    """One conversation. Fills the gaps of the draft, in the order in which one answer helps with the next."""

    def __init__(self, draft: Draft, asker: Asker, trials: Trials | None) -> None:
        """`trials` None: offline, nothing is tried."""
        self._draft, self._asker, self._trials = draft, asker, trials
        self._zone: Zone | None = None

    def run(self) -> None:
        """Raises InputProblemsError where a service cannot be asked, or a given secret is refused."""
        plain = self._draft.plain
        if plain.get("dns", "cloudflare") == "cloudflare" and not plain.get("domainStack"):
            self._cloudflare_zone(self._token())
            self._mail_domain()
            if not plain.get("webhookUrl"):
                self._tunnel()
        elif not plain.get("domainStack"):
            self._mail_domain()
        self._mailjet()
        if not plain.get("tunnelHostname") and not plain.get("webhookUrl"):
            self._want(
                "webhookUrl",
                "URL of the platform's inbound webhook (https://HOST/PATH)",
                kind=SecureUrl,
            )
        if plain.get("submission") == "gateway" and "inboxService" not in plain and "inboxUrl" not in plain:
            self._inbox()

    # -- Cloudflare ----------------------------------------------------------------------------------------------------

    def _token(self) -> list[Zone]:
        """The zones that the token lists."""
        return self._secrets([(API_TOKEN, "Cloudflare API token")], lambda trials, token: trials.zones(token)) or []

    def _cloudflare_zone(self, zones: Sequence[Zone]) -> None:
        plain = self._draft.plain
        while True:
            asked = not (plain.get("zoneId") and plain.get("zoneName"))
            if asked:
                self._choose_zone(zones)
            zone_id, name = str(plain.get("zoneId") or ""), str(plain.get("zoneName") or "")
            self._zone = next((zone for zone in zones if zone.id == zone_id), None)
            if self._trials is None or not zone_id:
                return
            try:
                self._trials.zone(self._draft.secrets.get(API_TOKEN, ""), zone_id, name)
            except RefusedAnswerError as refusal:
                if not asked:
                    raise InputProblemsError([str(refusal)]) from None
                self._asker.say(str(refusal))
                plain.pop("zoneId", None)
                plain.pop("zoneName", None)
            else:
                return

    def _choose_zone(self, zones: Sequence[Zone]) -> None:
        plain = self._draft.plain
        holding = [zone for zone in zones if is_within(str(plain.get("domain") or zone.name), zone.name)]
        named = [zone for zone in holding if plain.get("zoneName") in (None, "", zone.name)]
        named = [zone for zone in named if plain.get("zoneId") in (None, "", zone.id)]
        if plain.get("zoneName") and len(named) == 1:
            plain["zoneId"] = named[0].id
            return
        if named:
            shown = [(zone.name + ("" if zone.status == "active" else f" ({zone.status})"), zone) for zone in named]
            chosen = self._asker.choose("Zone that holds the mail domain", [*shown, ("another one", None)])
            if chosen is not None:
                plain |= {"zoneName": chosen.name, "zoneId": chosen.id}
                return
        self._want("zoneName", "Cloudflare zone that holds the mail domain, such as agents.example", kind=DomainName)
        self._want("zoneId", "Zone ID, from the zone's overview page", kind=HexId)

    def _tunnel(self) -> None:
        plain = self._draft.plain
        if not plain.get("tunnelHostname"):
            host = self._checked(
                "Public host of the platform behind a tunnel (empty: none)",
                self._host_problem,
                empty=True,
            )
            if not host:
                return
            plain["tunnelHostname"] = host
        if plain.get("accountId") or plain.get("tunnelCname"):
            return
        existing = self._asker.ask("An existing tunnel's ID.cfargotunnel.com (empty: make one)")
        if existing:
            plain["tunnelCname"] = existing
            return
        offered = self._zone.account_id if self._zone is not None else ""
        plain["accountId"] = self._checked("Cloudflare account ID for the new tunnel", self._account_problem, offered)

    def _host_problem(self, host: str) -> str:
        if problem := _problem(DomainName, host):
            return problem
        if host == self._draft.plain.get("domain"):
            return f"{host} is the mail domain itself; expected another host name (RFC 1034, 3.6.2)."
        return self._outside(host)

    def _account_problem(self, account_id: str) -> str:
        if problem := _problem(HexId, account_id):
            return problem
        plain = self._draft.plain
        if self._trials is not None:
            try:
                self._trials.account(
                    self._draft.secrets.get(API_TOKEN, ""),
                    account_id,
                    zone_id=str(plain.get("zoneId") or ""),
                    zone_name=str(plain.get("zoneName") or ""),
                )
            except RefusedAnswerError as refusal:
                return str(refusal)
        return ""

    # -- the rest ------------------------------------------------------------------------------------------------------

    def _mail_domain(self) -> None:
        if not self._draft.plain.get("domain"):
            zone = str(self._draft.plain.get("zoneName") or "")
            self._draft.plain["domain"] = self._checked(
                "Mail domain (a subdomain leaves other mail as it is)",
                lambda domain: _problem(DomainName, domain) or self._outside(domain),
                f"mail.{zone}" if zone else "",
            )

    def _outside(self, name: str) -> str:
        zone = str(self._draft.plain.get("zoneName") or "")
        inside = not zone or is_within(name.lower().rstrip("."), zone)
        return "" if inside else f"{name} is outside the zone {zone}; expected the zone itself or a name below it."

    def _mailjet(self) -> None:
        self._secrets(
            [("mailjetApiKey", "Mailjet API key"), ("mailjetApiSecret", "Mailjet API secret")],
            lambda trials, key, secret: trials.mailjet(key, secret),
        )

    def _inbox(self) -> None:
        """Who keeps the mail, and where it is read. Agents read with credentials of the gateway's root secret."""
        plain = self._draft.plain
        nobody = ("nobody: Mailjet delivers to the platform itself", "")
        if not plain.get("accountId"):
            somewhere = ("an inbox that the webhook's URL leads to", "elsewhere")
            if self._asker.choose("Who keeps the mail", [nobody, somewhere]):
                self._want("inboxUrl", "URL where it is read (https://HOST, or http://HOST:8026)", kind=NeighbourUrl)
            return
        beside = (f"an inbox beside the platform, {INBOX_SERVICE}", INBOX_SERVICE)
        other = ("an inbox that cloudflared reaches at another URL", "other")
        plain["inboxService"] = self._asker.choose("Who keeps the mail", [beside, other, nobody])
        if plain["inboxService"] == other[1]:
            del plain["inboxService"]
            self._want("inboxService", "URL where cloudflared reaches it (http://HOST:8026)", kind=NeighbourUrl)
        if plain["inboxService"] and plain.get("tunnelHostname"):
            public = f"https://{plain['tunnelHostname']}"
            inside, outside = "agents on the platform's network", f"agents anywhere, at {public}"
            if url := self._asker.choose("Who reads it", [(inside, ""), (outside, public)]):
                plain["inboxUrl"] = url

    # -- asking --------------------------------------------------------------------------------------------------------

    def _want(self, key: str, prompt: str, *, kind: Any) -> None:
        if not self._draft.plain.get(key):
            self._draft.plain[key] = self._checked(prompt, lambda answer: _problem(kind, answer))

    def _checked(self, prompt: str, problem: Callable[[str], str], default: str = "", *, empty: bool = False) -> str:
        while True:
            answer = self._asker.ask(prompt, default)
            if not answer and empty:
                return ""
            said = problem(answer) if answer else "Nothing was typed; expected an answer, or Ctrl-C to leave."
            if not said:
                return answer
            self._asker.say(said)

    def _secrets(self, wanted: Sequence[tuple[str, str]], trial: Callable[..., T]) -> T | None:
        """What the trial of these secrets gives. Those that were given are never asked for."""
        secrets = self._draft.secrets
        missing = [(key, prompt) for key, prompt in wanted if not secrets.get(key)]
        for attempt in range(1, ATTEMPTS + 1):
            for key, prompt in missing:
                secrets[key] = self._hidden(prompt)
            if self._trials is None:
                return None
            try:
                return trial(self._trials, *(secrets[key] for key, _ in wanted))
            except UnreachableServiceError as error:
                raise InputProblemsError([str(error)]) from None
            except RefusedAnswerError as refusal:
                if not missing or attempt == ATTEMPTS:
                    given = "" if missing else f" (given as {', '.join(VARIABLES[key] for key, _ in wanted)})"
                    raise InputProblemsError([f"{refusal}{given}"]) from None
                self._asker.say(str(refusal))
        return None

    def _hidden(self, prompt: str) -> str:
        while not (answer := self._asker.hidden(prompt)):
            self._asker.say("Nothing was typed; expected an answer, or Ctrl-C to leave.")
        return answer


def _problem(kind: Any, answer: str) -> str:
    """What the configuration would say to the value; empty where it takes it."""
    try:
        TypeAdapter(kind).validate_python(answer)
    except ValidationError as error:
        return f"It {error.errors(include_url=False)[0]['msg']}."
    return ""
