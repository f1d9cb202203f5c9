"""The records that configuration alone determines, read before anything is declared."""

from __future__ import annotations

import pulumi

from settings.model import Settings
from settings.values import TunnelKind
from zone.dmarc import report_warnings
from zone.errors import RecordError
from zone.records import Record, certificate_warnings, configured_records, mx_warnings
from zone.spf import length_warnings
from zone.spf_lookups import Resolve, cost_warnings
from zone.txt import joined


def read_records(settings: Settings, resolve: Resolve) -> list[Record]:
    """MX, SPF, DMARC and TLS-RPT of the mail domain; warns of what would not work.

    Raises RunError for an SPF record that RFC 7208 forbids, or a report address that is none.
    """
    try:
        records = configured_records(
            domain=settings.domain,
            mx_hosts=settings.mailjet_mx_hosts,
            mx_preference=settings.mx_preference,
            spf_include=settings.mailjet_spf_include,
            spf_mechanisms=settings.spf_mechanisms,
            spf_qualifier=settings.spf_qualifier,
            dmarc=settings.dmarc,
            tls_reports=settings.tls_reports,
            ttl=settings.ttl,
        )
    except RecordError as error:
        raise pulumi.RunError(str(error)) from None
    for warning in _warnings(settings, records, resolve):
        pulumi.log.warn(warning)
    return records


def _warnings(settings: Settings, records: list[Record], resolve: Resolve) -> list[str]:
    warnings = [
        *mx_warnings(settings.mailjet_mx_hosts),
        *report_warnings(settings.domain, settings.dmarc, zone_name=settings.zone_name),
    ]
    if settings.tunnel_kind is not TunnelKind.NONE:
        warnings += certificate_warnings(settings.tunnel_hostname, domain=settings.domain, zone_name=settings.zone_name)
    if settings.spf_mechanisms:
        [spf] = [joined(record.content) for record in records if record.key == "spf"]
        warnings += [
            *length_warnings(spf),
            *cost_warnings(spf, settings.domain, settings.mailjet_spf_include, resolve),
        ]
    return warnings
