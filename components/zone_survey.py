"""The look at the zone before anything is declared: foreign records stop preview and up with a table.

It reads and never writes, so that a token that may only read DNS is enough for a preview.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pulumi

from clients.cloudflare.client import CloudflareError
from components.cloudflare_questions import CloudflareQuestions
from components.failures import cloudflare_sentence, refusal_hook
from components.own_stack import changed_owner_tag
from mailboxes import remedies
from settings.model import Settings
from settings.values import Dns
from zone.spf_lookups import Resolve
from zone.survey import (
    ForeignRecordsError,
    SupersededRecordsError,
    SurveyedRecord,
    UnknownToTheStateError,
    WrongZoneError,
    ZoneNeeds,
    already_there,
    conflicts,
    hidden_email_routing,
    survey,
    wildcard_warnings,
)


@dataclass(frozen=True, kw_only=True)
class ZoneSurvey:
    """What the zone held when this run began, without what this run deletes."""

    records: tuple[SurveyedRecord, ...]
    needs: ZoneNeeds
    stack: str
    looked: bool
    """Whether the zone was listed at all: not where it is served elsewhere, nor in a preview without a token."""

    @cached_property
    def guard(self) -> pulumi.ResourceHookBinding | None:
        """Refuses to create a record that the zone has already, in a preview too.

        Only the engine knows what it is about to create; without this the plugin would fail half-way through an `up`
        (Cloudflare's 81058), or publish a second SPF record.
        """
        if not self.looked:
            return None

        def refuse_what_is_there(about: pulumi.ResourceHookArgs) -> None:
            wanted = about.new_inputs or {}
            name, type_, content = (wanted.get(key) for key in ("name", "type", "content"))
            if not (isinstance(name, str) and isinstance(type_, str)):
                return
            found = already_there(
                self.records, self.needs, type_=type_, name=name, content=content if isinstance(content, str) else ""
            )
            if found:
                raise UnknownToTheStateError(about.name, found, adopt=remedies.adopt(self.stack))

        return pulumi.ResourceHookBinding(
            before_create=[
                pulumi.ResourceHook("zone-survey", refuse_what_is_there, pulumi.ResourceHookOptions(on_dry_run=True))
            ],
            on_error=[refusal_hook("cloudflare-record-refusals", self.stack)],
        )


def survey_zone(settings: Settings, resolve: Resolve) -> ZoneSurvey:
    """List the zone and refuse to go on over foreign records.

    `resolve` is asked for MX that the listing does not show.

    Raises RunError: for a conflict, for a zone id that belongs to another zone, when Cloudflare refuses, and for an
    `up` that would delete superseded records without consent.
    A preview without a Cloudflare token surveys nothing and says so.
    """
    needs = settings.zone_needs
    unseen = ZoneSurvey(records=(), needs=needs, stack=settings.stack, looked=False)
    if settings.dns is Dns.NONE:
        return unseen
    if settings.preview and not settings.cloudflare_api_token:
        pulumi.log.warn(
            "No Cloudflare token (cloudflare:apiToken or CLOUDFLARE_API_TOKEN): this preview did not look for foreign records in the zone."
        )
        return unseen
    try:
        listing = CloudflareQuestions(settings.cloudflare_api_token).records(settings.zone_id)
    except CloudflareError as error:
        raise pulumi.RunError(cloudflare_sentence(error, settings)) from None
    try:
        records = survey(listing, zone_name=settings.zone_name, zone_id=settings.zone_id)
        refuse_conflicts(records, needs, settings)
    except ForeignRecordsError as error:
        raise pulumi.RunError(changed_owner_tag(settings) or str(error)) from None
    except (WrongZoneError, SupersededRecordsError) as error:
        raise pulumi.RunError(str(error)) from None
    hidden = hidden_email_routing(records, needs, comment=settings.record_comment, resolve=resolve)
    if hidden:
        raise pulumi.RunError(hidden)
    for warning in wildcard_warnings(records, needs):
        pulumi.log.warn(warning)
    # What this up deletes is in nobody's way.
    leaving = {entry.id for entry in settings.adopted_records if entry.is_superseded}
    staying = tuple(record for record in records if record.id not in leaving)
    return ZoneSurvey(records=staying, needs=needs, stack=settings.stack, looked=True)


def refuse_conflicts(records: list[SurveyedRecord], needs: ZoneNeeds, settings: Settings) -> None:
    """Stop over foreign records, and before an `up` deletes adopted ones without consent.

    Raises ForeignRecordsError and SupersededRecordsError, in a preview too: one that passes promises an `up` that goes on.
    """
    adopted = {entry.id: entry for entry in settings.adopted_records}
    in_the_way = conflicts(records, needs, comment=settings.record_comment, adopted=adopted)
    if in_the_way:
        raise ForeignRecordsError(in_the_way, adopt=remedies.adopt(settings.stack))
    to_delete = [record for record in records if record.id in adopted and adopted[record.id].is_superseded]
    agreed = settings.replace_foreign_mx and not any(adopted[record.id].protected for record in to_delete)
    if to_delete and not agreed:
        raise SupersededRecordsError(
            to_delete,
            consent=remedies.adopt(settings.stack, "--replace-mx"),
            keep=remedies.adopt(settings.stack, "--forget"),
        )
