"""Errors of the launcher: each message is one sentence that says what was found and what to do."""

from __future__ import annotations

from collections.abc import Sequence
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


class DiskTooSmallError(EngineError):
    """The build would fill the disk."""

    def __init__(self, folder: Path, free: float, needed: float) -> None:
        super().__init__(
            f"building the Pulumi CLI needs {needed:.0f} GB below {folder}, there are {free:.1f}: make room, name another "
            f"disk with `export XDG_CACHE_HOME=FOLDER`, or install Pulumi itself (https://www.pulumi.com/docs/install/)."
        )


class FolderError(EngineError):
    """A folder of ours cannot be written to: a read-only home, another user's, a full disk."""

    def __init__(self, path: str, reason: str, variable: str) -> None:
        super().__init__(
            f"{path} cannot be written ({reason}); expected a folder of yours with room; name one with: export "
            f"{variable}=FOLDER"
        )


class BuildError(EngineError):
    """A step of the build failed; the message ends with what Go said last."""

    def __init__(self, step: str, reason: str, output: list[str]) -> None:
        said = " | ".join(line.strip() for line in output if line.strip())
        network = "check the network, name a proxy (export HTTPS_PROXY=URL) or a mirror of modules (export GOPROXY=URL), then "
        super().__init__(
            f"building the Pulumi CLI failed while {step}: {reason}; {network if 'downloading' in step else ''}"
            f"go on from there with: ./mail setup (or install Pulumi itself). Go said: {said or 'nothing'}"
        )


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
        super().__init__(f"{venv} has no package '{package}': run './mail setup' to install requirements.txt into it.")


class NoOwnPassphraseError(EngineError):
    """A stack that leaves this machine, in the clone's own backend, without a passphrase of its own."""

    def __init__(self, stack: str, reason: str) -> None:
        file = f"$HOME/.config/agentmail-{stack}.passphrase"
        super().__init__(
            f"the stack {stack!r} has no passphrase of its own, and this clone's is public, for stacks whose services "
            f"are all on loopback ({reason}); make one, then run the command again: mkdir -p $HOME/.config && "
            f"(umask 077; openssl rand -base64 32 > {file}) && export PULUMI_CONFIG_PASSPHRASE_FILE={file}"
        )


class NoStackNamedError(EngineError):
    """Nothing says which stack a command is for, so nothing says which passphrase it may have."""

    def __init__(self, command: Sequence[str]) -> None:
        super().__init__(
            f"no stack is named and none is selected; name one, such as: ./mail pulumi {' '.join(command[:2])} "
            f"--stack dev"
        )


class PublicPassphraseGivenError(EngineError):
    """A passphrase that everybody knows, for a stack that leaves this machine."""

    def __init__(self, stack: str, reason: str) -> None:
        named = f"the stack {stack!r}" if stack else "the stack"
        move = f"./mail pulumi stack change-secrets-provider passphrase --stack {stack or 'NAME'}"
        super().__init__(
            f"PULUMI_CONFIG_PASSPHRASE holds a public passphrase, and {named} is not on loopback alone ({reason}); name "
            f"one of your own, and where secrets were encrypted with the public one, change it first with: {move}"
        )


class BackendFileError(EngineError):
    """`Pulumi.NAME.backend` names no backend."""

    def __init__(self, file: Path, found: str) -> None:
        super().__init__(
            f"{file.name} {found}; expected one line with the URL of a backend, without credentials, such as "
            f"s3://BUCKET?region=eu-west-1, file:///srv/agentmail-state or https://api.pulumi.com; write it with: "
            f"echo s3://BUCKET > {file.name}"
        )


class StackMissingError(EngineError):
    """A folder backend that has no such stack."""

    def __init__(self, stack: str, backend: str, *, has_file: bool) -> None:
        """`has_file`: whether its configuration is here, so that its state must have been somewhere once."""
        new = (
            f"if it is lost, or there was none yet, begin an empty one and take in what exists with: ./mail pulumi stack select "
            f"--create {stack} && ./mail adopt {stack}"
            if has_file
            else f"if there is none yet, make it with: ./mail env new {stack}"
        )
        super().__init__(
            f"no stack named {stack!r} found in {backend}; if its state lies elsewhere, say where with: echo URL > "
            f"Pulumi.{stack}.backend (or export PULUMI_BACKEND_URL=URL), {new}"
        )


class StateCutError(EngineError):
    """A state file that ends in its middle: every command of the engine would fail at it."""

    def __init__(self, stack: str, file: Path) -> None:
        super().__init__(
            f"the state of {stack!r} was cut off, as by a full disk ({file}); make room, then bring back the last whole "
            f"state with: ./mail state restore {stack}"
        )


class StackFileError(EngineError):
    """A stack's file that nobody can read."""

    def __init__(self, file: Path, problem: str) -> None:
        super().__init__(
            f"{file.name} is no valid YAML ({problem}); correct that line, or see what was changed with: git diff {file.name}"
        )
