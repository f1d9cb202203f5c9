"""Where this clone keeps what the engine needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Directories of one clone.

    `state` is `.state` in the clone, or `AGENTMAIL_STATE_DIR` (tests use it to leave the clone's own state alone).
    """

    root: Path
    state: Path
    home: Path
    private_home: bool
    cache: Path

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def backend(self) -> Path:
        return self.state / "backend"

    @property
    def backend_url(self) -> str:
        # Without the option a killed run can leave an empty sidecar that no command gets past (decision record 070).
        return f"file://{self.backend}?metadata=skip"

    @property
    def credentials(self) -> Path:
        """Credentials of the loopback emulators, written by `./mail emulators up`."""
        return self.state / "emulators" / "credentials.env"

    @property
    def launcher(self) -> Path:
        return self.root / "engine" / "pulumi"

    @property
    def module(self) -> Path:
        """The Go module that pins the CLI."""
        return self.root / "engine"


def layout(environment: Mapping[str, str]) -> Layout:
    """The layout of the clone that this file belongs to."""
    root = Path(__file__).resolve().parent.parent
    state = Path(environment.get("AGENTMAIL_STATE_DIR") or root / ".state").absolute()
    named_home = environment.get("PULUMI_HOME")
    cache_root = environment.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Layout(
        root=root,
        state=state,
        home=Path(named_home).absolute() if named_home else state / "pulumi-home",
        private_home=not named_home,
        cache=Path(cache_root) / "azmail",
    )
