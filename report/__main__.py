"""`python -m report preview|summary`: JSON of the engine on standard input, a page for people on standard output."""

from __future__ import annotations

import argparse
import json
import sys

from report.digest import as_markdown, as_text
from report.preview import PreviewUnreadableError, read_preview
from report.summary import summary


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0, or 1 when the preview failed or is unreadable."""
    parser = argparse.ArgumentParser(prog="python -m report", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    preview = commands.add_parser("preview", help="the digest of `pulumi preview --json`")
    preview.add_argument("--markdown", action="store_true", help="for a pull request's comment")
    page = commands.add_parser("summary", help="the page of `pulumi stack output --json --show-secrets`")
    page.add_argument("--stack", required=True)
    chosen = parser.parse_args(arguments)

    text = sys.stdin.read()
    if chosen.command == "preview":
        try:
            changes = read_preview(text)
        except PreviewUnreadableError as error:
            print(error, file=sys.stderr)
            return 1
        print(as_markdown(changes) if chosen.markdown else as_text(changes), end="")
        return 1 if changes.errors else 0

    print(summary(json.loads(text), stack=chosen.stack), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
