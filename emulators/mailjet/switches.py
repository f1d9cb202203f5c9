"""Mailjet's undocumented corners: where both behaviours are plausible, a switch says which one is played.

The defaults are what is documented or was most often reported. `PUT /_emulator/switches` changes some,
`DELETE` brings the defaults back; they are part of the state and survive a restart.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Switches(BaseModel):
    """One field a question that the documentation leaves open (or a fault of one account)."""

    # What checks values is made with the first that needs it: the emulators start sooner.
    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True)

    put_revives_deleted_sender: bool = False
    """A PUT on a soft-deleted sender makes it inactive again."""
    validate_revives_deleted_sender: bool = True
    """`validate` works on a soft-deleted sender, as Mailjet's support says."""
    deleted_sender_keeps_dns: bool = True
    """The `dns` row of a domain stays readable after its senders were deleted."""
    active_duplicate_in: Literal["ErrorMessage", "ErrorInfo"] = "ErrorMessage"
    """Where the MJ18 text of an active duplicate stands."""
    status_write_status: Literal[400, 403, 500] = 400
    """HTTP status of MJ19, the refusal to set a sender's Status."""
    route_duplicate_status: Literal[400, 409] = 400
    """HTTP status of a second route for the same address."""
    route_needs_verified_domain: bool = True
    """A route on an own domain is refused until `*@domain` is active."""
    route_quota: int | None = Field(default=None, ge=0)
    """Most routes of one API key."""
    route_by_address: Literal["exact", "any-case", "unknown", "refused", "oldest"] = "exact"
    """`parseroute/ADDRESS` finds the route, as clients rely on and the reference does not tell: only with the letters' case
    as it was written, or with any; or it answers 404 for each address, or 400, or with a route of some other address."""
    parse_in_plan: bool = True
    """The plan includes the Parse API; otherwise creating a route is refused."""
    wildcard_routes: bool = False
    """`*@domain` is accepted as a route's address and matches any mailbox without a route of its own."""
    plus_addresses: bool = False
    """`box+tag@domain` reaches the route of `box@domain`."""
    not_found: Literal["json", "html"] = "json"
    """Body of a 404."""
    validate_answer: Literal["unwrapped", "wrapped"] = "unwrapped"
    """Shape of `validate`'s answer: as recorded, or as documented."""
    dns_names: Literal["absolute", "relative-dot", "label"] = "absolute"
    """Record names of `dns`: with a trailing dot, without it, or the ownership record as a bare label."""
    not_checked: Literal["Not checked", "Not Checked"] = "Not Checked"
    """Status of a record that was never looked at."""
    error_info: Literal["text", "object"] = "text"
    """Type of ErrorInfo in a refusal that has details."""
    dkim_bits: Literal[1024, 2048] = 2048
    """Size of the DKIM key of a new domain."""
    dns_lag: int = Field(default=0, ge=0)
    """So many checks and validations still see the zone without any record, as a slow propagation does."""
    unregistered_from: Literal["refused", "blocked"] = "refused"
    """Send API from an address that is no sender: an error, or success and a blocked message."""
    blocked_account: bool = False
    """Every call answers 401 mj-0001."""
    smtp_keeps_message_id: bool = False
    """A Message-ID given over SMTP stays; in public list archives of 2025 and 2026 it does not."""
    some_refused_status: Literal[200, 400] = 400
    """Status of a Send API call of whose messages some were taken and some refused; 400 is what was recorded."""
    track_by_default: bool = True
    """The account tracks opens and clicks, unless the message says no (`disabled`, by SMTP X-Mailjet-TrackOpen: 0)."""
    list_unsubscribe: bool = True
    """A List-Unsubscribe header is added, as on some accounts; who follows it is blocked for the API key."""
    dkim_expires_seconds: int | None = Field(default=7200, ge=1)
    """After how long a DKIM signature expires (`x=`); how long it is at Mailjet was not seen. None: never."""
    put_ignores_unknown: bool = True
    """A PUT with a property that the resource does not have (`Id`), or that it does not set (`CreatedAt`), is taken."""
    smtp_replies: dict[Literal["MAIL", "RCPT", "DATA", "DATA-after"], str] = Field(default_factory=dict)
    """Replies of both SMTP servers instead of their own, such as `{"DATA": "451 4.3.0 Try again later"}`;
    `drop` cuts the connection. `DATA-after` comes after the message was taken."""
    smtp_replies_times: int | None = Field(default=None, ge=0)
    """So many times only."""
    part_headers: Literal["arrays", "strings"] = "arrays"
    """Header values of a part in a Parse payload: as recorded, or as documented."""
    inline_text_is_attachment: bool = False
    """A text marked `inline` comes as InlineAttachmentN instead of Text-part."""
    base64_lines: bool = False
    """Attachments come with line ends inside their base64."""
    delivery_seconds: float = Field(default=30.0, gt=0)
    """Longest wait for a webhook's answer."""
    retry_seconds: float = Field(default=30.0, ge=0)
    """Pause before a webhook that did not answer 200 is tried again."""
    retry_attempts: int = Field(default=2880, ge=1)
    """Most attempts for one delivery: 24 hours with the documented pause."""
