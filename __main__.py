"""Agent mail for one environment, as a table of contents."""

import pulumi

from components.agent_mailboxes import AgentMailboxes, AgentMailboxesArgs, read_addresses
from components.api_tunnel import ApiTunnel, ApiTunnelArgs
from components.mail_domain import MailDomain, MailDomainArgs
from components.platform_mail import PlatformMail, PlatformMailArgs
from components.stack_outputs import stack_outputs
from components.zone_survey import survey_zone
from settings import load

# All input is read, and the zone looked at, before anything is declared.
settings = load()
addresses = read_addresses(settings)
zone = survey_zone(settings)

domain = MailDomain("mail", MailDomainArgs.of(settings, zone))
tunnel = ApiTunnel("api", ApiTunnelArgs.of(settings, zone), after=[domain.sender])
agents = AgentMailboxes("agents", AgentMailboxesArgs.of(settings, addresses), after=[domain.verification])
PlatformMail("platform", PlatformMailArgs.of(settings), after=[domain.verification])

for name, value in stack_outputs(settings, addresses, domain, tunnel, agents).items():
    pulumi.export(name, value)
