"""`python -m docs.site.diagrams`: draws docs/diagrams anew, from what stands below.

SVG with real text, a title and a description for who does not see it, light and dark by itself where it stands alone (GitHub)
and by the page's own switch where it stands in one (docs/site/site.css). Lengths are in pixels at full size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Literal

FOLDER = Path(__file__).parents[1] / "diagrams"
WIDTH = 960

Kind = Literal["ours", "theirs", "person", "file", "step"]
Point = tuple[int, int]

STYLE = """
.drawing { --d-paper: #ffffff; --d-ink: #1b1f24; --d-soft: #57606a; --d-line: #8c959f; --d-raised: #f6f8fa; --d-ours: #dbe7ff;
  --d-ours-line: #1d4ed8; --d-theirs: #fff1e0; --d-theirs-line: #b45309; font: 13px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { .drawing { --d-paper: #0d1117; --d-ink: #e6edf3; --d-soft: #9da7b3; --d-line: #7d8590;
  --d-raised: #161b22; --d-ours: #14275a; --d-ours-line: #79b8ff; --d-theirs: #3d2a0f; --d-theirs-line: #e3a458; } }
.drawing .paper { fill: var(--d-paper); }
.drawing .group { fill: var(--d-raised); stroke: var(--d-line); stroke-dasharray: 4 4; }
.drawing .box { fill: var(--d-paper); stroke: var(--d-line); stroke-width: 1.5; }
.drawing .ours { fill: var(--d-ours); stroke: var(--d-ours-line); }
.drawing .theirs { fill: var(--d-theirs); stroke: var(--d-theirs-line); }
.drawing text { fill: var(--d-ink); }
.drawing .name { font-weight: 600; font-size: 14px; }
.drawing .soft { fill: var(--d-soft); }
.drawing .way { fill: none; stroke: var(--d-soft); stroke-width: 1.5; }
.drawing .tip { fill: var(--d-soft); }
""".strip()


@dataclass(frozen=True, kw_only=True)
class Box:
    """A thing, with a name and what is to be known of it; `group`: what stands around others."""

    at: Point
    size: tuple[int, int]
    name: str
    lines: Sequence[str] = ()
    kind: Kind = "ours"
    group: bool = False

    def drawn(self, _tip: str) -> Iterator[str]:
        """Its elements."""
        (x, y), (width, height) = self.at, self.size
        look = "group" if self.group else f"box {self.kind}"
        radius = {"person": min(height // 2, 32), "file": 2}.get(self.kind, 8)
        yield f'<g><rect class="{look}" x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}"/>'
        if self.group:
            yield f'<text class="soft" x="{x + 12}" y="{y + 20}">{escape(self.name)}</text></g>'
            return
        first = y + (height - 18 * len(self.lines)) // 2 + 5
        middle = f'x="{x + width // 2}" text-anchor="middle"'
        yield f'<text class="name" {middle} y="{first}">{escape(self.name)}</text>'
        for number, line in enumerate(self.lines, start=1):
            yield f'<text class="soft" {middle} y="{first + 18 * number}">{escape(line)}</text>'
        yield "</g>"


@dataclass(frozen=True, kw_only=True)
class Way:
    """An arrow along points, with a word beside it: `said` at `said_at`, the middle of the text."""

    points: Sequence[Point]
    said: Sequence[str] = ()
    said_at: Point = (0, 0)

    def drawn(self, tip: str) -> Iterator[str]:
        """Its elements; `tip` is the arrow's."""
        path = " ".join(f"{x},{y}" for x, y in self.points)
        yield f'<polyline class="way" points="{path}" marker-end="url(#{tip})"/>'
        x, y = self.said_at
        for number, line in enumerate(self.said):
            yield f'<text class="soft" x="{x}" y="{y + 16 * number}" text-anchor="middle">{escape(line)}</text>'


@dataclass(frozen=True, kw_only=True)
class Diagram:
    """One drawing. `told`: what it shows, for who does not see it."""

    name: str
    title: str
    told: str
    height: int
    parts: Sequence[Box | Way]

    def svg(self) -> str:
        """The file's text."""
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" viewBox="0 0 {WIDTH} {self.height}" role="img"'
            f' aria-labelledby="{self.name}-title {self.name}-told">',
            f'<title id="{self.name}-title">{escape(self.title)}</title>',
            f'<desc id="{self.name}-told">{escape(self.told)}</desc>',
            f"<style>{STYLE}</style>",
            f'<defs><marker id="{self.name}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
            ' orient="auto-start-reverse"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>',
            f'<rect class="paper" width="{WIDTH}" height="{self.height}" rx="8"/>',
            *(element for part in self.parts for element in part.drawn(f"{self.name}-tip")),
            "</svg>",
        ]
        return "\n".join(lines) + "\n"


SYSTEM = Diagram(
    name="system",
    title="What it builds",
    told=(
        "A population file and a stack's configuration go into one Pulumi program. It declares three components. "
        "MailDomain makes the sender domain at Mailjet and the records MX, SPF, DKIM, DMARC and ownership at "
        "Cloudflare. ApiTunnel makes a tunnel and its name at Cloudflare. AgentMailboxes makes 64 buckets of inbound "
        "routes at Mailjet, one route for each mailbox. The stack's outputs go to azmail, which the agent platform "
        "installs: sending, the gateway and the inbox. Agents use these."
    ),
    height=452,
    parts=[
        Box(at=(20, 60), size=(176, 64), name="population file", lines=["who the agents are"], kind="file"),
        Box(at=(20, 184), size=(176, 64), name="Pulumi.STACK.yaml", lines=["domain, accounts, rules"], kind="file"),
        Box(at=(248, 20), size=(272, 290), name="one Pulumi program: __main__.py", group=True),
        Box(at=(272, 52), size=(224, 70), name="AgentMailboxes", lines=["names to addresses, pinned"]),
        Box(at=(272, 138), size=(224, 70), name="MailDomain", lines=["guards foreign records"]),
        Box(at=(272, 224), size=(224, 70), name="ApiTunnel", lines=["the way to the webhook"]),
        Box(at=(612, 20), size=(328, 142), name="Mailjet", group=True),
        Box(
            at=(632, 48),
            size=(288, 46),
            name="64 buckets of inbound routes",
            lines=["one route for a mailbox"],
            kind="theirs",
        ),
        Box(at=(632, 104), size=(288, 46), name="sender domain", lines=["verified, signs with DKIM"], kind="theirs"),
        Box(at=(612, 176), size=(328, 134), name="Cloudflare", group=True),
        Box(at=(632, 202), size=(288, 46), name="DNS", lines=["MX, SPF, DKIM, DMARC, ownership"], kind="theirs"),
        Box(at=(632, 256), size=(288, 46), name="tunnel", lines=["and its proxied CNAME"], kind="theirs"),
        Way(points=[(196, 92), (272, 87)]),
        Way(points=[(196, 216), (272, 180)]),
        Way(points=[(196, 230), (272, 258)]),
        Way(points=[(496, 80), (632, 71)]),
        Way(points=[(496, 165), (632, 130)]),
        Way(points=[(496, 182), (632, 222)]),
        Way(points=[(496, 264), (632, 278)]),
        Way(points=[(384, 310), (384, 362)], said=["stack outputs, a contract with a schema"], said_at=(530, 341)),
        Box(
            at=(248, 362),
            size=(272, 70),
            name="azmail, in the agent platform",
            lines=["send, receive, gateway, inbox"],
        ),
        Box(at=(740, 372), size=(180, 50), name="agents", lines=["each its own credential"], kind="person"),
        Way(points=[(740, 397), (520, 397)], said=["write, read, search"], said_at=(630, 388)),
    ],
)

ORDER = Diagram(
    name="order-of-an-up",
    title="The order of an up",
    told=(
        "First everything is read and refused where it is wrong: configuration, populations, the whole zone; nothing "
        "is written until all is valid. Then the sender domain at Mailjet, which gives the DKIM key and the ownership "
        "token. Then, at Cloudflare, ownership, SPF, DKIM and DMARC, and beside them the tunnel with its CNAME. Then "
        "Mailjet verifies the domain by asking the DNS. Then the inbound routes of the mailboxes, in 64 buckets. Last "
        "of all the MX: nobody writes to an address before it works. Then the outputs."
    ),
    height=384,
    parts=[
        Box(
            at=(20, 30), size=(200, 124), name="1  read, and refuse",
            lines=["configuration, populations,", "the whole zone.", "Nothing is written before", "all of it is valid"], kind="step",
        ),
        Box(
            at=(268, 30), size=(200, 124), name="2  sender domain", kind="theirs",
            lines=["Mailjet gives the DKIM", "key and the token that", "proves ownership"],
        ),
        Box(
            at=(516, 30), size=(200, 124), name="3  DNS records", kind="theirs",
            lines=["ownership, SPF, DKIM,", "DMARC at Cloudflare;", "foreign ones stay"],
        ),
        Box(
            at=(764, 30), size=(176, 124), name="4  verification", kind="theirs",
            lines=["Mailjet asks the DNS", "until it says OK"],
        ),
        Box(
            at=(764, 224), size=(176, 104), name="5  inbound routes", kind="theirs",
            lines=["of the mailboxes, in", "64 buckets at once"],
        ),
        Box(
            at=(516, 224), size=(200, 104), name="tunnel and CNAME", kind="theirs",
            lines=["meanwhile: they need", "no verification"],
        ),
        Box(
            at=(268, 224), size=(200, 104), name="6  MX, last of all", kind="theirs",
            lines=["nobody writes to an", "address that does", "not work yet"],
        ),
        Box(at=(20, 224), size=(200, 104), name="7  outputs", lines=["mailboxes, records", "with the reason for each"]),
        Way(points=[(220, 92), (268, 92)]),
        Way(points=[(468, 92), (516, 92)]),
        Way(points=[(716, 92), (764, 92)]),
        Way(points=[(852, 154), (852, 224)]),
        Way(points=[(368, 154), (368, 188), (616, 188), (616, 224)]),
        Way(points=[(516, 276), (468, 276)]),
        Way(points=[(852, 328), (852, 356), (368, 356), (368, 328)]),
        Way(points=[(268, 276), (220, 276)]),
    ],
)  # fmt: skip

MAIL = Diagram(
    name="a-mails-way",
    title="A mail's way in and out",
    told=(
        "Out: an agent logs in at the gateway with its own password and may write as itself alone; the gateway hands "
        "the mail to Mailjet with the account's key; Mailjet signs it with DKIM and brings it to the recipient's mail "
        "host. In: somebody's mail host asks the DNS for the MX, which is Mailjet's; Mailjet's route for the mailbox "
        "posts the mail by HTTPS, with a password in the URL, through Cloudflare's tunnel to the inbox, which stores "
        "it before it answers. Workers hand it to the platform's webhook, again until it is taken. The agent reads, "
        "searches and answers it with a credential of its own."
    ),
    height=450,
    parts=[
        Box(at=(20, 60), size=(110, 250), name="agent", lines=["has one", "address"], kind="person"),
        Box(at=(200, 60), size=(190, 90), name="gateway", lines=["the agent's own password,", "as itself alone"]),
        Box(at=(596, 24), size=(188, 302), name="Mailjet", group=True),
        Box(at=(612, 60), size=(156, 90), name="SMTP, Send API", lines=["signs with DKIM"], kind="theirs"),
        Box(
            at=(612, 220),
            size=(156, 90),
            name="Parse API",
            lines=["is the domain's MX,", "has the route"],
            kind="theirs",
        ),
        Box(at=(836, 60), size=(104, 250), name="somebody", lines=["and their", "mail host"], kind="person"),
        Box(at=(432, 220), size=(128, 90), name="tunnel", lines=["HTTPS, password", "in the URL"], kind="theirs"),
        Box(at=(200, 220), size=(190, 90), name="inbox", lines=["stores the mail,", "then answers 200"]),
        Box(at=(200, 370), size=(190, 60), name="workers", lines=["again until it is taken"]),
        Box(at=(432, 370), size=(128, 60), name="platform", lines=["its webhook"], kind="person"),
        Way(points=[(130, 105), (200, 105)], said=["out"], said_at=(164, 96)),
        Way(points=[(390, 105), (612, 105)], said=["the account's key"], said_at=(492, 96)),
        Way(points=[(768, 105), (836, 105)]),
        Way(points=[(836, 265), (768, 265)], said=["in"], said_at=(806, 256)),
        Way(points=[(612, 265), (560, 265)]),
        Way(points=[(432, 265), (390, 265)]),
        Way(points=[(200, 265), (130, 265)], said=["reads"], said_at=(166, 256)),
        Way(points=[(295, 310), (295, 370)]),
        Way(points=[(390, 400), (432, 400)]),
    ],
)

DIAGRAMS = (SYSTEM, ORDER, MAIL)


def main() -> None:
    """Write them all."""
    for diagram in DIAGRAMS:
        (FOLDER / f"{diagram.name}.svg").write_text(diagram.svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
