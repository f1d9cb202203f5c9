"""Agent mail for one environment, as a table of contents."""

import pulumi

from clients.dns import DeadlineResolver
from components.agent_mailboxes import AgentMailboxes, AgentMailboxesArgs, read_agents
from components.api_tunnel import ApiTunnel, ApiTunnelArgs
from components.configured_records import read_records
from components.ending import own_words
from components.mail_domain import MailDomain, MailDomainArgs
from components.own_stack import refuse_own_tunnel
from components.platform_mail import PlatformMail, PlatformMailArgs
from components.shared_domain import read_shared_domain
from components.stack_outputs import shared_domain_outputs, stack_outputs
from components.stack_traces import leave_out_stack_traces
from components.zone_survey import survey_zone
from settings.loading import load

leave_out_stack_traces()

with own_words():
    # All input is read, and the zone or the stack that owns the domain looked at, before anything is declared.
    settings = load()
    shared = read_shared_domain(settings)

    if shared:
        settings = shared.complete(settings)
        people = read_agents(settings)
        agents = AgentMailboxes("agents", AgentMailboxesArgs.of(settings, people), after=[])
        outputs = shared_domain_outputs(settings, people, shared, agents)
    else:
        refuse_own_tunnel(settings)
        people = read_agents(settings)
        resolver = DeadlineResolver()
        records = read_records(settings, resolver)
        zone = survey_zone(settings, resolver)
        domain = MailDomain("mail", MailDomainArgs.of(settings, records, zone))
        tunnel = ApiTunnel("api", ApiTunnelArgs.of(settings, zone), after=[domain.sender])
        agents = AgentMailboxes("agents", AgentMailboxesArgs.of(settings, people), after=[domain.verification])
        PlatformMail("platform", PlatformMailArgs.of(settings), after=[domain.verification])
        domain.open_for_mail(after=[tunnel, agents])
        outputs = stack_outputs(settings, people, domain, tunnel, agents)

    for name, value in outputs.items():
        pulumi.export(name, value)
