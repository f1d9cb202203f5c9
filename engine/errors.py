"""Errors of the launcher: each message is one sentence that says what was found and what to do."""

from __future__ import annotations

from pathlib import Path


class EngineError(Exception):
    """The Pulumi CLI or one of its plugins cannot be made ready."""


class GoMissingError(EngineError):
    """Neither Pulumi nor a Go toolchain is installed."""

    def __init__(self, pulumi_version: str, go_version: str) -> None:
        super().__init__(
            f"no `pulumi` and no `go` is on PATH: install Pulumi (https://www.pulumi.com/docs/install/), or Go "
            f"{go_version} or newer so that Pulumi {pulumi_version} can be built here."
        )


class GoTooOldError(EngineError):
    """The installed Go toolchain cannot build the pinned module."""

    def __init__(self, found: str, wanted: str) -> None:
        super().__init__(
            f"Go {found} is on PATH, Go {wanted} or newer is needed to build the Pulumi CLI: install a newer Go, or "
            f"install Pulumi itself (https://www.pulumi.com/docs/install/)."
        )


class BuildError(EngineError):
    """A step of the build failed; the message ends with what Go said last."""

    def __init__(self, step: str, reason: str, output: list[str]) -> None:
        said = " | ".join(line.strip() for line in output if line.strip())
        super().__init__(f"building the Pulumi CLI failed while {step}: {reason}. Go said: {said or 'nothing'}")


class CliBrokenError(EngineError):
    """The CLI that was just built does not run."""

    def __init__(self, path: Path, said: str) -> None:
        super().__init__(f"{path} was built but `pulumi version` fails: {said or 'no output'}.")


class PluginInstallError(EngineError):
    """`pulumi plugin install` refused one of the plugins that engine/ provides."""

    def __init__(self, plugin: str, said: str) -> None:
        super().__init__(f"the plugin {plugin} could not be installed: {said or 'the CLI said nothing'}.")


class CloudflarePluginError(EngineError):
    """The Cloudflare plugin that was asked for is not to be had."""

    def __init__(self, version: str, reason: str) -> None:
        super().__init__(f"there is no Cloudflare plugin v{version}: {reason}.")


class ForcedChoiceError(EngineError):
    """AGENTMAIL_CLOUDFLARE_PLUGIN names something that does not exist."""

    def __init__(self, found: str) -> None:
        super().__init__(f"AGENTMAIL_CLOUDFLARE_PLUGIN is '{found}': set it to 'official' or 'stand-in', or unset it.")


class PackageMissingError(EngineError):
    """The virtualenv lacks a package that the engine needs."""

    def __init__(self, package: str, venv: Path) -> None:
        super().__init__(f"{venv} has no package '{package}': run 'make setup' to install requirements.txt into it.")
