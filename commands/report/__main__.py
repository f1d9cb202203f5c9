"""`python -m commands.report preview|summary`: JSON of the engine on standard input, a page for people on standard output."""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import replace
from enum import IntEnum
from pathlib import Path

from commands.engine_errors import explained
from commands.report.digest import as_markdown, as_text, failure_as_markdown
from commands.report.preview import Changes, PreviewUnreadableError, read_preview
from commands.report.summary import summary
from commands.report.thresholds import refusals

LABEL = re.compile(r"allow-record-removals:\s*(\d+)")


class Exit(IntEnum):
    """What the caller learns: `DRIFT` only with `--drift`, for everything that an up would put back."""

    FINE = 0
    REFUSED = 1
    DRIFT = 2


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 1 when the preview failed, is unreadable or deletes too much without the switch for it."""
    given = _parser().parse_args(arguments)
    text = sys.stdin.read()
    if given.command == "summary":
        print(summary(json.loads(text), stack=given.stack, names={}), end="")
        return Exit.FINE
    try:
        changes = read_preview(text)
    except PreviewUnreadableError as error:
        # Where the engine ended before it had a preview, its own reason is all that there is to say.
        if not error.nothing_came:
            print(error, file=sys.stderr)
        if given.markdown:
            print(failure_as_markdown(given.stack, _reason(error, given), note=given.note), end="")
        return Exit.REFUSED
    return _preview(given, replace(changes, stack=changes.stack or given.stack))


def _preview(given: argparse.Namespace, changes: Changes) -> Exit:
    allowed = given.allow_record_removals or _allowed_by(given.labels)
    refused = [] if given.drift else refusals(changes, allowed_record_removals=allowed)
    if given.markdown:
        print(as_markdown(changes, refused=refused, drift=given.drift, note=given.note), end="")
    else:
        print(as_text(changes, refused=refused, drift=given.drift), end="")
    if changes.errors or refused:
        return Exit.REFUSED
    return Exit.DRIFT if given.drift and not changes.is_empty else Exit.FINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m commands.report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    preview = commands.add_parser("preview", help="the digest of `pulumi preview --json`")
    preview.add_argument("--markdown", action="store_true", help="for a pull request's comment")
    preview.add_argument("--stack", default="", help="its name, for a preview that failed before it said so")
    preview.add_argument("--note", default="", help="a line below the Markdown, such as the commit")
    preview.add_argument(
        "--log", type=Path, metavar="FILE", help="what the engine said, for where there is no preview to digest"
    )
    preview.add_argument(
        "--drift", action="store_true", help="of `pulumi preview --refresh --json`: status 2 if anything has drifted"
    )
    preview.add_argument(
        "--allow-record-removals", type=int, default=0, metavar="N", help="exactly so many DNS records may go"
    )
    preview.add_argument(
        "--labels",
        default="",
        metavar="JSON",
        help="a pull request's labels: 'allow-record-removals: N' allows the same",
    )
    page = commands.add_parser("summary", help="the page of `pulumi stack output --json --show-secrets`")
    page.add_argument("--stack", required=True)
    return parser


def _reason(error: PreviewUnreadableError, given: argparse.Namespace) -> str:
    """Why there is no preview, for a comment: the engine's reason with what mends it, where it said one."""
    said = _log_of(given)
    if not error.nothing_came or not said:
        return f"{error}\n{said}".strip()
    return explained(said, stack=given.stack, backend="") or said


def _log_of(given: argparse.Namespace) -> str:
    """What the engine wrote to standard error, where it was kept."""
    log: Path | None = given.log
    return log.read_text(encoding="utf-8", errors="replace").strip() if log is not None else ""


def _allowed_by(labels: str) -> int:
    """The number in the label; 0 without one."""
    found = json.loads(labels) if labels else []
    matches = [match for label in found if (match := LABEL.fullmatch(str(label)))]
    return int(matches[0][1]) if matches else 0


if __name__ == "__main__":
    sys.exit(main())
