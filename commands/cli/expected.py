"""Which exceptions are sentences for people; everything else is a fault of this program and shows its traceback."""

from __future__ import annotations


def is_expected(error: BaseException) -> bool:
    """Whether the error's message is written for who ran the command."""
    return isinstance(error, _expected()) or _is_refused_file(error)


def _is_refused_file(error: BaseException) -> bool:
    """A folder that is read-only, a disk that is full, a file that is not there."""
    return isinstance(error, OSError) and error.filename is not None


def sentence(error: BaseException) -> str:
    """What a person is told."""
    if isinstance(error, OSError):
        return f"{error.filename} cannot be used ({error.strerror or 'no reason given'})."
    return str(error)


def _expected() -> tuple[type[BaseException], ...]:
    # Here, since most commands end well: an error may cost the imports of all rooms.
    from azmail.errors import AzmailError
    from clients.cloudflare.client import CloudflareError
    from clients.cloudflare.zone_api import CloudflareRefusedError
    from clients.mailjet.errors import MailjetError
    from commands.adopt.errors import AdoptError
    from commands.demo.loop import NoMailError, UnexpectedError
    from commands.doctor.emulators import EmulatorsDownError
    from commands.doctor.stack import NeverUpError
    from commands.environments.errors import EnvironmentRefusedError
    from commands.errors import CommandError
    from commands.report.preview import PreviewUnreadableError
    from commands.stack_commands import PulumiFailedError
    from emulators.commands import EXPECTED as EMULATORS
    from engine.errors import EngineError
    from mailboxes.errors import MailboxError
    from settings.loading import SettingsError
    from zone.errors import RecordError
    from zone.survey import WrongZoneError

    return (
        AdoptError,
        AzmailError,
        CloudflareError,
        CloudflareRefusedError,
        CommandError,
        EmulatorsDownError,
        EngineError,
        EnvironmentRefusedError,
        MailboxError,
        MailjetError,
        NeverUpError,
        NoMailError,
        PreviewUnreadableError,
        PulumiFailedError,
        RecordError,
        SettingsError,
        UnexpectedError,
        WrongZoneError,
        *EMULATORS,
    )
