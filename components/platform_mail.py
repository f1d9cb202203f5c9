"""What the platform itself has at Mailjet, beside the agents: named senders, and where bounces are reported.

An account has one callback for each kind of event, so two stacks with one API key cannot both have events.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from providers.mailjet.event_callback import EventCallback, EventCallbackArgs
from providers.mailjet.footprint import Footprint, FootprintArgs
from providers.mailjet.sender import Sender, SenderArgs
from settings.model import NamedSender, Settings
from settings.values import MailEventType


@dataclass(frozen=True, kw_only=True)
class PlatformMailArgs:
    """Named senders and event callbacks, both possibly none."""

    senders: Sequence[NamedSender]
    events: Sequence[MailEventType]
    events_url: pulumi.Input[str]
    """`https://OWNERTAG:SECRET@host/path`, secret."""
    events_identity: str
    """The same without the secret: what makes a callback ours."""
    delete_senders: bool
    protect: bool

    @classmethod
    def of(cls, settings: Settings) -> PlatformMailArgs:
        """The senders and callbacks that the stack's settings describe."""
        return cls(
            senders=settings.mailjet_senders,
            events=settings.mailjet_events,
            events_url=pulumi.Output.secret(settings.events_url),
            events_identity=settings.events_identity,
            delete_senders=settings.mailjet_delete_sender,
            protect=settings.protected,
        )


class PlatformMail(pulumi.ComponentResource):
    """The senders and callbacks, each a resource named for its address or event."""

    def __init__(
        self,
        name: str,
        args: PlatformMailArgs,
        after: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`after`: the verification of the domain, which activates its addresses."""
        super().__init__("azt3knet:mail:PlatformMail", name, None, opts)
        before = list(after)
        if args.senders or args.events:
            footprint = FootprintArgs(
                senders=[sender.email for sender in args.senders],
                delete_senders=args.delete_senders,
                callbacks=[event.value for event in args.events],
                callback_identity=args.events_identity,
            )
            before.append(
                Footprint(f"{name}-footprint", footprint, pulumi.ResourceOptions(parent=self, depends_on=list(after)))
            )
        own = pulumi.ResourceOptions(parent=self, protect=args.protect, depends_on=before)
        for sender in args.senders:
            Sender(
                f"{name}-sender-{sender.email}",
                SenderArgs(email=sender.email, display_name=sender.name, delete_sender=args.delete_senders),
                own,
            )
        for event in args.events:
            EventCallback(f"{name}-{event}", EventCallbackArgs(event_type=event.value, url=args.events_url), own)
        self.register_outputs({})
