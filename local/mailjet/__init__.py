"""The Mailjet emulator: REST API, SMTP submission, inbound mail and its delivery to webhooks."""

from local.mailjet.certificate import Certificates
from local.mailjet.deliveries import Edge
from local.mailjet.emulator import MailjetEmulator, MailjetService

__all__ = ["Certificates", "Edge", "MailjetEmulator", "MailjetService"]
