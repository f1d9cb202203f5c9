"""What MkDocs is told about this repository (a hook of mkdocs.yml).

The README is the front page, and what else stands outside docs/ and is linked becomes a page, made of the one file that there
is: nothing is written twice, and no link leads to a host that may not have this commit. Where GitHub and the site would show
different parts of a page, the build fails.
"""

from __future__ import annotations

import logging
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from markdown_it import MarkdownIt
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
BROUGHT_IN = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "LICENSE": "licence.md",
    "SECURITY.md": "security.md",
    "emulators/README.md": "emulators.md",
    "tests/chaos/README.md": "chaos.md",
}
"""File of the repository: its page."""
COUNTED = frozenset({"h1", "h2", "h3", "h4", "table", "tr", "ul", "ol", "li", "pre", "blockquote", "img"})
_PAGES = {page: name for name, page in BROUGHT_IN.items()}
_LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s]+)(?P<after>\))")
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|#", re.IGNORECASE)
_CODE = re.compile(r"(`+[^`]+`+)")
_FENCE = re.compile(r"(`{3,})(.*)")
_DIAGRAM = re.compile(r'<img[^>]* src="(?:\.\./)*diagrams/(?P<name>[a-z-]+)\.svg"[^>]*>')
_LANGUAGES = {".json": "json", ".py": "python", ".toml": "toml", ".yaml": "yaml", ".yml": "yaml"}

log = logging.getLogger("mkdocs.hooks.pages")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Every decision record stands in the navigation."""
    sections = [entry for section in config.nav or [] for entry in next(iter(section.values())) if "Decisions" in entry]
    decisions = sections[0]["Decisions"]
    decisions += [f"decisions/{path.name}" for path in sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))]
    return config


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Brings in what stands outside docs/."""
    texts = {f"docs/{file.src_uri}": file.content_string for file in files.documentation_pages()}
    for name, page in BROUGHT_IN.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        texts[name] = text if name.endswith(".md") else f"# {name}\n\n```\n{text}```\n"
        files.append(File.generated(config, page, content=texts[name]))
    for name in sorted({name for source, text in texts.items() for name in shown(source, text)}):
        if not (ROOT / name).exists():
            continue  # MkDocs says which link leads to it
        made = File.generated(config, page_of(name), content=_listing(name), inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(made)
    return files


def on_page_markdown(markdown: str, *, page: Page, **_rest: object) -> str:
    """Links lead to pages of the site, and a fence says only its language."""
    return rewritten(markdown, source=source_of(page.file.src_uri))


def on_page_content(html: str, *, page: Page, **_rest: object) -> str:
    """GitHub shows the same parts of the page; diagrams stand in it, so that they are dark when it is."""
    said = MarkdownIt("commonmark").enable("table").render(page.markdown or "")
    for tag, on_github, here in differences(said, html):
        log.warning("%s has %d <%s> on GitHub and %d here", source_of(page.file.src_uri), on_github, tag, here)
    return _DIAGRAM.sub(lambda match: drawn(match["name"]), html)


def on_post_page(output: str, **_rest: object) -> str:
    """The theme's search is a dialog without a name."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def on_post_build(*, config: MkDocsConfig) -> None:
    """Every link of what was built leads somewhere, and showing it asks no other host."""
    site = Path(config.site_dir)
    pages = {path: _Built(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    for path, built in pages.items():
        name = path.relative_to(site)
        for target in built.fetched:
            if urlsplit(target).scheme not in ("", "data"):
                log.warning("%s fetches %s", name, target)
        for target in built.targets if name.name != "404.html" else ():
            parts = urlsplit(target)
            if parts.scheme:
                continue
            aim = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not (aim.exists() and (not parts.fragment or aim not in pages or parts.fragment in pages[aim].ids)):
                log.warning("%s leads to %s, which is not there", name, target)


def source_of(page: str) -> str:
    """The file of the repository that a page is made of."""
    return _PAGES.get(page, f"docs/{page}")


def page_of(name: str) -> str:
    """The page that a file or folder of the repository is on; `name` itself in docs/, without that."""
    if name in BROUGHT_IN:
        return BROUGHT_IN[name]
    if name.startswith("docs/"):
        inner = name.removeprefix("docs/")
        return f"{inner}/README.md" if (ROOT / name).is_dir() else inner
    return f"files/{name.lstrip('.')}.md"


def shown(source: str, markdown: str) -> Iterator[str]:
    """What `source` links that has no page yet: it is shown as it is."""
    for match in _links(markdown):
        name, _ = _aimed_at(match["target"], source)
        if page_of(name).startswith("files/"):
            yield name


def rewritten(markdown: str, *, source: str) -> str:
    """The text of `source` with links to pages of the site."""
    here = posixpath.dirname(page_of(source))

    def leading(match: re.Match[str]) -> str:
        if _ELSEWHERE.match(match["target"]):
            return match[0]
        name, anchor = _aimed_at(match["target"], source)
        return f"{match['before']}{posixpath.relpath(page_of(name), here or '.')}{anchor}{match['after']}"

    return _outside_of_code(markdown, lambda prose: _LINK.sub(leading, prose))


def differences(expected: str, found: str) -> Iterator[tuple[str, int, int]]:
    """(tag, count in `expected`, count in `found`) where two pieces of HTML are made of different parts."""
    wanted, had = _Parts(expected).counts, _Parts(found).counts
    for tag in sorted(COUNTED):
        if wanted[tag] != had[tag]:
            yield tag, wanted[tag], had[tag]


def drawn(name: str) -> str:
    """A diagram as a part of the page."""
    svg = (ROOT / "docs" / "diagrams" / f"{name}.svg").read_text(encoding="utf-8")
    return f'<div class="diagram" tabindex="0">{svg[svg.index("<svg") :]}</div>'


class _Parts(HTMLParser):
    """How often each tag begins."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        """Counted, whatever it carries."""
        self.counts[tag] += 1


class _Built(HTMLParser):
    """What a page of the site leads to, what a browser fetches to show it, and what can be led to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Noted."""
        values = {name: value or "" for name, value in attrs}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        if "href" in values:
            kinds = values.get("rel", "").split()
            (self.fetched if tag == "link" and "canonical" not in kinds else self.targets).append(values["href"])
        if "src" in values:
            self.fetched.append(values["src"])
            self.targets.append(values["src"])


def _aimed_at(target: str, source: str) -> tuple[str, str]:
    path, sharp, anchor = target.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), unquote(path))), sharp + anchor


def _links(markdown: str) -> list[re.Match[str]]:
    found: list[re.Match[str]] = []

    def noting(prose: str) -> str:
        found.extend(match for match in _LINK.finditer(prose) if not _ELSEWHERE.match(match["target"]))
        return prose

    _outside_of_code(markdown, noting)
    return found


def _outside_of_code(markdown: str, change: Callable[[str], str]) -> str:
    lines: list[str] = []
    fence = ""
    for line in markdown.splitlines():
        found = _FENCE.fullmatch(line)
        if found and (not fence or (found[1] == fence and not found[2])):
            # `sh live`: one word is what a highlighter knows.
            line = found[1] + (found[2].split() or [""])[0]
            fence = "" if fence else found[1]
        elif not fence:
            line = "".join(part if part.startswith("`") else change(part) for part in _CODE.split(line))
        lines.append(line)
    return "\n".join(lines) + "\n"


def _listing(name: str) -> str:
    path = ROOT / name
    files = sorted(one for one in path.iterdir() if one.is_file()) if path.is_dir() else [path]
    parts = [f"# {name}\n"]
    for file in files:
        title = f"## {file.name}\n\n" if path.is_dir() else ""
        parts.append(f"{title}````{_LANGUAGES.get(file.suffix, '')}\n{file.read_text(encoding='utf-8')}````\n")
    return "\n".join(parts)
