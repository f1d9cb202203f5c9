"""What a received mail has that an answer can carry: the parser keeps what it found, a mail has to be sendable."""

from collections.abc import Iterable

from azmail.errors import InvalidMailError
from azmail.mail import MAX_NAME_CHARACTERS, MailAddress, is_control, is_message_id


def addressable(found: Iterable[MailAddress]) -> tuple[tuple[MailAddress, ...], tuple[str, ...]]:
    """The addresses that a mail can go to, with domains as A-labels, and the rest as it was found.

    Names lose what no header can carry: an answer does not fail for a decoration.
    """
    usable: list[MailAddress] = []
    left_out: list[str] = []
    for address in found:
        try:
            usable.append(MailAddress.parse(MailAddress(address.email, one_line(address.name)[:MAX_NAME_CHARACTERS])))
        except InvalidMailError:
            left_out.append(address.email)
    return tuple(usable), tuple(left_out)


def one_line(text: str) -> str:
    """The text without what a header cannot carry: control characters become spaces, half surrogate pairs U+FFFD."""
    whole = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return "".join(" " if is_control(one) else one for one in whole)


def usable_ids(found: Iterable[str]) -> tuple[str, ...]:
    """The message ids that a header can carry."""
    return tuple(one for one in found if is_message_id(one))
