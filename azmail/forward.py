"""Handing deliveries to the platform's present endpoint, with the token where that endpoint reads it.

The platform reads its webhook secret from top-level keys of the JSON body, where Mailjet can put nothing. Between the
two stands this: Mailjet proves itself with basic authentication, and the delivery goes on with `token` added.
"""

import json
import re
from collections.abc import Callable
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from azmail.errors import ForwardError, WebhookConfigError
from azmail.inbound import InboundMail

# The platform takes the first of these that is not blank.
TOKEN_KEYS = ("token", "Token", "x-mailjet-token", "X-Mailjet-Token")


class Forwarder:
    """An `on_mail` hook that posts each delivery, unchanged but for the token, to the platform.

    With an empty `token` nothing is added; a function is asked for it each time, since it may be rotated. A delivery that
    the platform does not accept is a ForwardError: it is to come again. `timeout` is in seconds, for the connection and then for
    the answer. No redirect is followed: it would carry the token elsewhere.
    """

    def __init__(
        self,
        url: str,
        token: str | Callable[[], str],
        *,
        timeout: tuple[float, float] = (5.0, 60.0),
        connections: int = 16,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path in ("", "/") or parts.username:
            raise WebhookConfigError(
                f"found the forward URL {re.sub(r'//[^/@]*@', '//…@', url)!r}, expected one such as "
                "http://api:8000/api/webhooks/mailjet/inbound"
            )
        self.url = url
        self._token: Callable[[], str] = token if callable(token) else lambda: token
        self._timeout = timeout
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment is for the way out, not for the neighbour
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=connections, max_retries=0)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)

    def __call__(self, mail: InboundMail, _agent_id: str) -> None:
        """Post one delivery; the agent id is not needed, the platform finds the agent by the recipient."""
        body = {key: value for key, value in mail.payload.items() if key not in TOKEN_KEYS}
        if token := self._token():
            body["token"] = token
        try:
            response = self._session.post(
                self.url,
                data=json.dumps(body).encode("ascii"),
                headers={"Content-Type": "application/json"},
                timeout=self._timeout,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            raise ForwardError(
                self.url, type(error).__name__, "check that the platform runs and answers there"
            ) from None
        if response.status_code in (401, 403):
            raise ForwardError(
                self.url,
                f"status {response.status_code}",
                "the platform's MAILJET_INBOUND_SECRET must be the token that is forwarded",
            )
        if not 200 <= response.status_code < 300:
            raise ForwardError(self.url, f"status {response.status_code}", "look into the platform's log")

    def close(self) -> None:
        self._session.close()

    def __repr__(self) -> str:
        return f"Forwarder({self.url!r}, token={'set' if self._token() else 'none'})"
