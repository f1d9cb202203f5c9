"""The agents' mailboxes: one address book, and the inbound routes in 64 buckets that never change.

A mailbox is no resource of its own: the engine rewrites the whole state after every step, so n of them would cost n².
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from mailboxes.address_map import render_address_map
from mailboxes.addresses import addresses
from mailboxes.buckets import bucket_of
from mailboxes.errors import MailboxError
from mailboxes.packed_map import packed
from mailboxes.policies import AgentPolicy, render_policies
from mailboxes.population import PopulationSource, agents_ahead, load_populations, policies
from providers.mailjet.address_book import AddressBook, AddressBookArgs
from providers.mailjet.inbound_routes import InboundRoutes, InboundRoutesArgs
from settings.loading import configured_credential_marks
from settings.model import Settings


@dataclass(frozen=True, kw_only=True)
class Addressed:
    """The agents of the stack."""

    addresses: Mapping[str, str]
    """{agent id: address}."""
    ahead: Mapping[str, str]
    """{agent id: created_at} of those whose second has not come yet."""
    policies: Mapping[str, AgentPolicy]
    """{agent id: what it may do}, of those of whom a file says it."""


@dataclass(frozen=True, kw_only=True)
class AgentMailboxesArgs:
    """The mailboxes of all populations of the stack."""

    addresses: Mapping[str, str]
    """{agent id: address}."""
    route_url: pulumi.Input[str]
    """`https://OWNERTAG:SECRET@host/path`, secret."""
    route_identity: str
    """The same without the secret: what makes a route ours."""
    take_over: bool
    allow_mass_removal: str
    removal_percent: int
    removal_count: int
    """Beyond both thresholds a removal is refused, unless `allow_mass_removal` names this very removal."""
    protect: bool
    inbound_auth: str
    webhook_url: str
    """Where the routes lead, without the secret."""
    ahead: Mapping[str, str]
    """{agent id: created_at} of those whose second has not come yet."""
    credentials: Mapping[str, str]
    """{configuration key: a mark of its value}."""
    policies: Mapping[str, AgentPolicy]
    submission: str

    @classmethod
    def of(cls, settings: Settings, agents: Addressed) -> AgentMailboxesArgs:
        """The mailboxes of these agents, with the routes that the stack's settings describe."""
        return cls(
            addresses=agents.addresses,
            ahead=agents.ahead,
            policies=agents.policies,
            submission=settings.submission.value,
            route_url=pulumi.Output.secret(settings.route_url),
            route_identity=settings.route_identity,
            take_over=settings.mailjet_take_over_routes,
            allow_mass_removal=settings.allow_mass_removal,
            removal_percent=settings.mass_removal_percent,
            removal_count=settings.mass_removal_count,
            protect=settings.protected,
            inbound_auth=settings.inbound_auth.value,
            webhook_url=settings.public_webhook_url,
            credentials=configured_credential_marks(),
        )


def read_agents(settings: Settings) -> Addressed:
    """Every agent of every population of the stack with an address, from its files alone.

    Raises RunError with every problem of the files.
    """
    sources = [
        PopulationSource(path=entry.file, seed=entry.seed, created_at=entry.created_at)
        for entry in settings.populations
    ]
    try:
        populations = load_populations(sources)
        found = addresses(
            populations,
            settings.domain,
            single_mailboxes=settings.agent_mailboxes,
            legacy_prefix=settings.agent_mail_prefix,
        )
        return Addressed(addresses=found, ahead=agents_ahead(populations), policies=policies(populations))
    except MailboxError as error:
        raise pulumi.RunError(str(error)) from None


class AgentMailboxes(pulumi.ComponentResource):
    """Inbound routes for every agent, guarded and remembered by the address book."""

    count: pulumi.Output[int]
    accepted: pulumi.Output[str]
    """Known once Mailjet has accepted this run's key: what shows the key to anybody waits for it."""

    def __init__(
        self,
        name: str,
        args: AgentMailboxesArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`after`: the verification of the domain; by dependency only, since an input from it would show every bucket as changed."""
        # The component's own inputs are there to be read: no other step shows that one of these changes.
        told = {
            "protected": args.protect,
            "inboundAuth": args.inbound_auth,
            "submission": args.submission,
            "webhookUrl": args.webhook_url,
            "credentials": dict(args.credentials),
        }
        super().__init__("azt3knet:mail:AgentMailboxes", name, told, opts)
        book = AddressBook(
            f"{name}-book",
            AddressBookArgs(
                addresses=packed(args.addresses),
                route_identity=args.route_identity,
                allow_mass_removal=args.allow_mass_removal,
                removal_percent=args.removal_percent,
                removal_count=args.removal_count,
                # Absent as a rule: the state would change with it, and with the hour.
                ahead=json.dumps(dict(sorted(args.ahead.items()))) if args.ahead else None,
                policies=render_policies(args.policies) or None,
            ),
            pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=list(after)),
        )
        buckets: defaultdict[int, dict[str, str]] = defaultdict(dict)
        for agent_id, address in args.addresses.items():
            buckets[bucket_of(agent_id)][agent_id] = address
        for bucket, routes in sorted(buckets.items()):
            InboundRoutes(
                f"{name}-routes-{bucket:02d}",
                InboundRoutesArgs(
                    routes=render_address_map(routes), route_url=args.route_url, take_over=args.take_over
                ),
                pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=[book, *after]),
            )
        self.count = pulumi.Output.from_input(len(args.addresses))
        self.accepted = book.id
        self.register_outputs({"count": self.count})
