"""Which account a state was written for, without saying so: a digest that only the same key at the same address has.

An `up` that changes nothing asks Mailjet nothing, and exports whatever key it was given. So a key that the state does
not know yet is tried first, and the outputs wait for it (decision record 107).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from clients.mailjet.errors import AnotherAccountError
from providers.mailjet.plugin import PluginProcess, PluginSettings
from providers.mailjet.senders import find_live_sender

_LENGTH = 16
"""Bytes. The state is readable: what stands there must be no help to somebody who guesses secrets."""


@lru_cache(maxsize=4)
def account_digest(settings: PluginSettings) -> str:
    """Of API address, key and secret; empty where there is no whole key, as in a preview with none."""
    credentials = settings.credentials
    if credentials.missing:
        return ""
    salt = f"{settings.api_url.rstrip('/')} {credentials.api_key}".encode()
    return hashlib.scrypt(credentials.api_secret.encode(), salt=salt, n=2**14, r=8, p=1, dklen=_LENGTH).hex()


def prove_key(process: PluginProcess) -> None:
    """Have Mailjet accept the key, where it has accepted nothing of this run yet: one read.

    Raises MailjetError.
    """
    if not process.client.accepted:
        process.api.ask_anything()


def prove_account(process: PluginProcess, addresses: Iterable[str]) -> None:
    """Have Mailjet accept the key, and show that its account has the sender domain of the mailboxes: one read.

    Raises MailjetError: AnotherAccountError where the key is good, and opens somebody else's door.
    """
    domain = next((address.rpartition("@")[2] for address in sorted(addresses)), "")
    if not domain:
        prove_key(process)
    elif find_live_sender(process, f"*@{domain}") is None:
        raise AnotherAccountError(domain)
