"""What an SPF record costs its receivers: DNS lookups, nested ones included, and void lookups (RFC 7208, 4.6.4).

Pure but for the resolver that it is given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from zone.names import canonical
from zone.spf import MAX_LOOKUPS, costs_lookup, is_spf, normal_term

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

MAX_VOID_LOOKUPS = 2
_ENOUGH = 3 * MAX_LOOKUPS
"""Counting stops here: the record is broken anyway, and two records that include each other never end."""


class NoAnswerError(Exception):
    """The DNS did not answer a question: the network is down, or a server failed."""

    def __init__(self, name: str, rdtype: str, reason: str) -> None:
        super().__init__(f"The DNS gave no answer to {name} {rdtype} ({reason})")


class Resolve(Protocol):
    """A question to the DNS."""

    def __call__(self, name: str, rdtype: str) -> list[str]:
        """The records' texts, TXT strings joined; empty where there are none. Raises NoAnswerError."""


@dataclass
class SpfCost:
    """What evaluating a record to its end costs at most."""

    lookups: int = 0
    void: list[str] = field(default_factory=list)
    """Terms whose lookup finds nothing."""
    broken: list[str] = field(default_factory=list)
    """Terms that make the whole record a permanent error, with the reason."""
    unresolved: list[str] = field(default_factory=list)
    """Questions without an answer; with any, the count is a lower bound."""

    @property
    def errors(self) -> list[str]:
        """What makes receivers treat the record as a permanent error, each as the end of a sentence."""
        found = [f"it includes {term}" for term in self.broken]
        if self.lookups > MAX_LOOKUPS:
            more = "at least " if self.unresolved or self.lookups >= _ENOUGH else ""
            found.append(f"it costs {more}{self.lookups} DNS lookups, and {MAX_LOOKUPS} are allowed")
        if len(self.void) > MAX_VOID_LOOKUPS:
            found.append(
                f"{len(self.void)} of its lookups find nothing ({', '.join(self.void)}), and {MAX_VOID_LOOKUPS} are allowed"
            )
        return found


def spf_cost(record: str, domain: str, resolve: Resolve) -> SpfCost:
    """Follow the record of `domain` through the DNS. Terms with macros are counted but not resolved."""
    cost = SpfCost()
    _follow(record, canonical(domain), resolve, cost)
    return cost


def cost_warnings(record: str, domain: str, include: str, resolve: Resolve) -> list[str]:
    """Sentences on a record that receivers would treat as broken, or that could not be checked.

    `include`: our own term. A DNS that does not even know its target shows nothing of the internet (a loopback stack, a
    filtering resolver), and its other answers mean nothing either.
    Warnings only: what others publish under an `include` must not be able to stop an `up`.
    """
    canary = canonical(include.partition(":")[2])
    try:
        if not resolve(canary, "TXT"):
            return [
                f"The SPF record of {domain} was not checked for lookups: this machine's DNS knows no SPF record at {canary}"
            ]
    except NoAnswerError as error:
        return [f"The SPF record of {domain} was not checked for lookups: {error}"]
    cost = spf_cost(record, domain, resolve)
    warnings = [
        f"The SPF record of {domain} is a permanent error for its receivers (RFC 7208, 4.6.4): {error}; correct agentmail:spfMechanisms"
        for error in cost.errors
    ]
    if cost.unresolved and not warnings:
        warnings.append(f"The SPF record of {domain} could not be followed to its end: {cost.unresolved[0]}")
    return warnings


def permitted_networks(terms: Iterable[str], resolve: Resolve) -> list[Network]:
    """The address ranges that these `include` terms permit, nested ones too, as far as the DNS answers."""
    found: list[Network] = []
    asked: set[str] = set()
    waiting = [term.partition(":")[2] for term in terms if term.lower().startswith("include:")]
    while waiting and len(asked) < _ENOUGH:
        name = canonical(waiting.pop())
        if name in asked or "%" in name:
            continue
        asked.add(name)
        try:
            records = [text for text in resolve(name, "TXT") if is_spf(text)]
        except NoAnswerError:
            continue
        for term in records[0].split()[1:] if len(records) == 1 else ():
            mechanism, _, target = term.removeprefix("+").replace("=", ":", 1).partition(":")
            if mechanism.lower() in {"include", "redirect"}:
                waiting.append(target)
            elif mechanism.lower() in {"ip4", "ip6"} and normal_term(term):
                found.append(ipaddress.ip_network(target, strict=False))
    return found


def addresses_of(resolve: Resolve) -> Callable[[str], list[str]]:
    """A host's addresses in both families; none where the DNS gives no answer to one of the questions."""

    def ask(host: str) -> list[str]:
        try:
            return [*resolve(host, "A"), *resolve(host, "AAAA")]
        except NoAnswerError:
            return []

    return ask


def _follow(record: str, domain: str, resolve: Resolve, cost: SpfCost) -> None:
    terms = [term.lstrip("+?~-") for term in record.split()[1:]]
    has_all = any(term.lower() == "all" for term in terms)
    for term in terms:
        if not costs_lookup(term) or (has_all and term.lower().startswith("redirect=")):
            continue
        if cost.lookups >= _ENOUGH:
            return
        cost.lookups += 1
        mechanism, _, target = term.replace("=", ":", 1).partition(":")
        name = canonical(target.split("/")[0]) or domain
        if "%" in name:
            continue
        try:
            if mechanism.lower() in {"include", "redirect"}:
                _follow_record_of(name, term, resolve, cost)
            elif not _finds(mechanism.split("/")[0].lower(), name, resolve):
                cost.void.append(term)
        except NoAnswerError as error:
            cost.unresolved.append(str(error))


def _follow_record_of(name: str, term: str, resolve: Resolve, cost: SpfCost) -> None:
    texts = resolve(name, "TXT")
    records = [text for text in texts if is_spf(text)]
    if not texts:
        cost.void.append(term)
    if len(records) != 1:
        cost.broken.append(
            f"{name}, which publishes {'no SPF record' if not records else f'{len(records)} SPF records'}"
        )
    else:
        _follow(records[0], name, resolve, cost)


def _finds(mechanism: str, name: str, resolve: Resolve) -> bool:
    """An address in either family will do: a receiver asks only for the family of the sender."""
    if mechanism == "mx":
        return bool(resolve(name, "MX"))
    if mechanism == "exists":
        return bool(resolve(name, "A"))
    return bool(resolve(name, "A") or resolve(name, "AAAA"))
