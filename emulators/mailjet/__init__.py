"""The Mailjet emulator: REST API, SMTP submission, inbound mail and its delivery to webhooks."""

from emulators.mailjet.certificate import Certificates
from emulators.mailjet.deliveries import EdgeLookup
from emulators.mailjet.emulator import MailjetEmulator, MailjetService

__all__ = ["Certificates", "EdgeLookup", "MailjetEmulator", "MailjetService"]
