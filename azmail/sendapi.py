"""Sending through Mailjet's Send API v3.1.

Nothing is sent twice. Mailjet documents no idempotency key, so a request is repeated only if it cannot have arrived
(no connection) or was certainly not processed (429). A lost answer or a 5xx is a DeliveryUncertainError.
"""

import re
import ssl
from collections.abc import Mapping
from typing import Self
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from azmail.compose import as_send_api
from azmail.contract import Mailbox
from azmail.errors import (
    AccountBlockedError,
    CredentialsRefusedError,
    DeliveryUncertainError,
    InvalidMailError,
    MailTooLargeError,
    MessageRefusedError,
    RecipientsRefusedError,
    SenderRefusedError,
    SendError,
    TemporarySendError,
    TlsError,
    TransportConfigError,
    UnreachableError,
)
from azmail.mail import MailAddress, OutgoingMail
from azmail.transport import Receipt, Retries, Transport

DEFAULT_API = "https://api.mailjet.com"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_RELATED_RECIPIENT = re.compile(r"(To|Cc|Bcc)\[(\d+)\]", re.IGNORECASE)
_BLOCKED = re.compile(r"\b(blocked|suspended|disabled)\b", re.IGNORECASE)


class SendApiTransport(Transport):
    """Sends with `POST {base_url}/v3.1/send`.

    `ca_file` is a PEM file of the authorities to trust instead of the system's. `timeout` is in seconds, for the
    connection and then for the answer. With `sandbox` Mailjet checks a mail and sends nothing.
    """

    def __init__(
        self,
        api_key: str,
        api_secret: str,
        *,
        base_url: str = DEFAULT_API,
        ca_file: str | None = None,
        timeout: tuple[float, float] = (10.0, 60.0),
        pool_size: int = 4,
        sandbox: bool = False,
        retries: Retries | None = None,
    ) -> None:
        super().__init__(concurrency=pool_size, retries=retries or Retries())
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise TransportConfigError(
                f"found base_url {_without_userinfo(base_url)}, expected one such as {DEFAULT_API}"
            )
        self.server = parts.netloc
        if parts.scheme == "http" and parts.hostname not in LOOPBACK and re.search(r"[.:]", parts.hostname):
            raise TlsError(self.server, "base_url is http, which is for loopback and for hosts of a compose network")
        self._url = base_url.rstrip("/") + "/v3.1/send"
        self._timeout = timeout
        self._sandbox = sandbox
        self._session = requests.Session()
        self._session.auth = (api_key, api_secret)
        # Given with each request: requests lets REQUESTS_CA_BUNDLE override a session's `verify`.
        self._verify: bool | str = ca_file or True
        adapter = HTTPAdapter(pool_connections=1, pool_maxsize=pool_size, max_retries=0, pool_block=True)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    @classmethod
    def of(
        cls,
        mailbox: Mailbox,
        *,
        base_url: str = DEFAULT_API,
        ca_file: str | None = None,
        timeout: tuple[float, float] = (10.0, 60.0),
        pool_size: int = 4,
        sandbox: bool = False,
        retries: Retries | None = None,
    ) -> Self:
        """The transport of a mailbox's account: at Mailjet the SMTP login is the API key and its secret."""
        return cls(
            mailbox.smtp_username,
            mailbox.smtp_password,
            base_url=base_url,
            ca_file=ca_file,
            timeout=timeout,
            pool_size=pool_size,
            sandbox=sandbox,
            retries=retries,
        )

    def send(self, mail: OutgoingMail, sender: MailAddress) -> Receipt:
        body: dict[str, object] = {"Messages": [as_send_api(mail, sender)]}
        if self._sandbox:
            body["SandboxMode"] = True
        return self.retries.run(lambda: self._post(body, mail, sender))

    def close(self) -> None:
        super().close()
        self._session.close()

    def _post(self, body: Mapping[str, object], mail: OutgoingMail, sender: MailAddress) -> Receipt:
        try:
            response = self._session.post(
                self._url, json=body, timeout=self._timeout, verify=self._verify, allow_redirects=False
            )
        except requests.RequestException as error:
            raise self._no_answer(error) from None
        status = response.status_code
        if status == 429:
            raise TemporarySendError(
                self.server, "429 too many requests", retry_after=_seconds(response.headers.get("Retry-After"))
            ).answered(status, **_reported(_object(response)))
        if status >= 500 or status == 408:
            raise DeliveryUncertainError(self.server, f"status {status}").answered(
                status, **_reported(_object(response))
            )
        answer = _object(response)
        results = answer.get("Messages")
        result = results[0] if isinstance(results, list) and results and isinstance(results[0], dict) else None
        if result is not None and result.get("Status") == "success":
            return self._receipt(result, mail)
        if result is not None and isinstance(result.get("Errors"), list):
            errors = [item for item in result["Errors"] if isinstance(item, dict)]
            if errors:
                # The identifier of the whole answer stands in for one that the error lacks.
                raise self._refusal(errors[0], status, mail, sender).answered(
                    status, **(_reported(answer) | _reported(errors[0]))
                )
        if 200 <= status < 300:
            raise DeliveryUncertainError(self.server, f"status {status} with an answer that is not Mailjet's").answered(
                status
            )
        raise self._refusal(answer, status, mail, sender).answered(status, **_reported(answer))

    def _no_answer(self, error: requests.RequestException) -> SendError:
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                return TlsError(self.server, cause.verify_message)
        if never_connected(error):
            return UnreachableError(self.server, "no connection")
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
            return InvalidMailError(f"{self.server}: the request could not be made, check base_url and credentials")
        return DeliveryUncertainError(self.server, type(error).__name__)

    def _receipt(self, result: Mapping[str, object], mail: OutgoingMail) -> Receipt:
        ids: list[int] = []
        for role in ("To", "Cc", "Bcc"):
            delivered = result.get(role)
            for item in delivered if isinstance(delivered, list) else ():
                number = item.get("MessageID") if isinstance(item, dict) else None
                if isinstance(number, int) and number:
                    ids.append(number)
        return Receipt(
            tuple(recipient.email for recipient in mail.recipients),
            mailjet_ids=tuple(ids),
            custom_id=mail.custom_id,
            answer="success",
            left_out=mail.left_out,
        )

    def _refusal(self, error: Mapping[str, object], status: int, mail: OutgoingMail, sender: MailAddress) -> SendError:
        code = str(error.get("ErrorCode") or "")
        text = str(error.get("ErrorMessage") or "") or f"status {status}"
        related = error.get("ErrorRelatedTo")
        places = [str(place) for place in related] if isinstance(related, list) else []
        if code == "mj-0001" or (status in (401, 403) and _BLOCKED.search(text)):
            return AccountBlockedError(text)
        if code == "mj-0015" or (status == 401 and not code):
            return CredentialsRefusedError(self.server)
        if code in ("send-0008", "send-0006", "send-0007"):
            return SenderRefusedError(sender.email, text)
        if code == "mj-0011" or status == 413:
            return MailTooLargeError(mail.content_bytes(), None, self.server)
        if code == "send-0015":
            return InvalidMailError(f"Mailjet found too many recipients in the mail: {text}")
        if code == "mj-0013":
            recipients = {"to": mail.to, "cc": mail.cc, "bcc": mail.bcc}
            refused = {
                recipients[match[1].lower()][int(match[2])].email: text
                for place in places
                if (match := _RELATED_RECIPIENT.match(place)) and int(match[2]) < len(recipients[match[1].lower()])
            }
            if refused:
                return RecipientsRefusedError(refused)
            if any(place.startswith("From") for place in places):
                return SenderRefusedError(sender.email, text)
        return MessageRefusedError(text, code or str(status))

    def __repr__(self) -> str:
        return f"SendApiTransport({self.server!r}, sandbox={self._sandbox}, pool_size={self.concurrency})"


def _object(response: requests.Response) -> dict[str, object]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _reported(error: Mapping[str, object]) -> dict[str, str]:
    """The arguments of `SendError.answered` that an error of Mailjet names."""
    names = {"code": "ErrorCode", "identifier": "ErrorIdentifier"}
    return {key: str(error[name]) for key, name in names.items() if error.get(name)}


def never_connected(error: requests.RequestException) -> bool:
    """Whether the request cannot have arrived: there was no connection."""
    return isinstance(error, requests.exceptions.ConnectTimeout) or any(
        isinstance(cause, NewConnectionError | ConnectTimeoutError) for cause in _causes(error)
    )


def _causes(error: BaseException) -> list[object]:
    """What is inside a requests error: it wraps urllib3's, which wraps the socket's."""
    found: list[object] = []
    waiting: list[object] = [error]
    while waiting and len(found) < 20:
        current = waiting.pop()
        if not isinstance(current, BaseException) or current in found:
            continue
        found.append(current)
        waiting += [*current.args, getattr(current, "reason", None), current.__cause__, current.__context__]
    return found


def _seconds(value: str | None) -> float | None:
    return float(value) if value is not None and re.fullmatch(r"[0-9]{1,6}", value) else None


def _without_userinfo(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url)
