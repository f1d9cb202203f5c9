"""`MailStack`: the outputs of one stack, read from the Pulumi CLI, a file, a dict or the environment."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from uuid import UUID

from azmail.contract import ExpectedRecord, Mailbox, read_outputs
from azmail.errors import ContractError, NoInboxError, StackOutputsError, UnknownMailboxError
from azmail.inbox.client import InboxClient

OUTPUTS_VARIABLE = "AGENTMAIL_OUTPUTS"
OUTPUTS_FILE_VARIABLE = "AGENTMAIL_OUTPUTS_FILE"
STACK_VARIABLE = "PULUMI_STACK"
CLI_TIMEOUT_SECONDS = 120.0


class MailStack:
    """A stack's mailboxes and everything else it exports, checked against the contract.

    Immutable. Load it again to see agents that a later `up` added.
    """

    def __init__(self, outputs: Mapping[str, object], *, source: str = "the stack outputs") -> None:
        """Read outputs as `./mail pulumi stack output --json --show-secrets` prints them.

        Raises ContractError, and ContractVersionError for a major version other than 2.
        """
        self._outputs, self._mailboxes = read_outputs(outputs, source)
        self._by_agent = {mailbox.agent_id: mailbox for mailbox in self._mailboxes}
        self._by_address = {mailbox.address.lower(): mailbox for mailbox in self._mailboxes}

    # --- loading ---

    @classmethod
    def load(
        cls,
        source: "str | os.PathLike[str] | Mapping[str, object] | None" = None,
        *,
        stack: str | None = None,
        pulumi: str | Sequence[str] = "pulumi",
        cwd: "str | os.PathLike[str] | None" = None,
    ) -> "MailStack":
        """Load from wherever the outputs are.

        `source` is a mapping, JSON text (it begins with a brace), the path of a file, or "-" for standard input.
        Without it: the variable AGENTMAIL_OUTPUTS (JSON text), then AGENTMAIL_OUTPUTS_FILE (a path), then the
        Pulumi CLI (`stack`, `pulumi` and `cwd` are for that; naming a `stack` skips the environment).

        Raises StackOutputsError when there is nothing to read, ContractError when what there is is wrong.
        """
        if isinstance(source, Mapping):
            return cls(source)
        if source is not None:
            text = os.fspath(source)
            if text == "-":
                return cls.from_json(sys.stdin.read(), source="standard input")
            return cls.from_json(text) if text.lstrip().startswith("{") else cls.from_file(text)
        if stack is None and (OUTPUTS_VARIABLE in os.environ or OUTPUTS_FILE_VARIABLE in os.environ):
            return cls.from_env()
        return cls.from_cli(stack=stack, pulumi=pulumi, cwd=cwd)

    @classmethod
    def from_file(cls, path: "str | os.PathLike[str]") -> "MailStack":
        """Load a file that holds what `./mail pulumi stack output --json --show-secrets` printed."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise StackOutputsError(
                f"cannot read the stack outputs in {os.fspath(path)} ({reason}): write them there with "
                "`./mail pulumi stack output --json --show-secrets --stack STACK` in the infrastructure's clone"
            ) from error
        return cls.from_json(text, source=os.fspath(path))

    @classmethod
    def from_json(cls, text: str, *, source: str = "the stack outputs") -> "MailStack":
        """Load JSON text."""
        try:
            outputs = json.loads(text)
        except (ValueError, RecursionError):
            # The decoder's own error quotes the text, and with it whatever secret stands near.
            raise ContractError(source, ["it is not JSON, expected one JSON object"]) from None
        if not isinstance(outputs, dict):
            raise ContractError(source, [f"it is a JSON {type(outputs).__name__}, expected one JSON object"])
        return cls(outputs, source=source)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "MailStack":
        """Load AGENTMAIL_OUTPUTS (JSON text), else the file that AGENTMAIL_OUTPUTS_FILE names."""
        environ = os.environ if environ is None else environ
        if environ.get(OUTPUTS_VARIABLE):
            return cls.from_json(environ[OUTPUTS_VARIABLE], source=OUTPUTS_VARIABLE)
        if environ.get(OUTPUTS_FILE_VARIABLE):
            return cls.from_file(environ[OUTPUTS_FILE_VARIABLE])
        raise StackOutputsError(
            f"found neither {OUTPUTS_VARIABLE} nor {OUTPUTS_FILE_VARIABLE} in the environment, expected the stack "
            "outputs as JSON text in the first or the path of a file with them in the second: set one"
        )

    @classmethod
    def from_cli(
        cls,
        *,
        stack: str | None = None,
        pulumi: str | Sequence[str] = "pulumi",
        cwd: "str | os.PathLike[str] | None" = None,
    ) -> "MailStack":
        """Ask `./mail pulumi stack output --json --show-secrets`.

        `pulumi` is the CLI, with leading arguments if it needs some; `stack` defaults to the selected one.
        """
        command = [pulumi] if isinstance(pulumi, str) else list(pulumi)
        program = shutil.which(command[0], path=None)
        if program is None and cwd is not None and (Path(cwd) / command[0]).is_file():
            program = str((Path(cwd) / command[0]).resolve())
        if program is None:
            raise StackOutputsError(
                f"found no program {command[0]!r} to ask for the stack outputs: install Pulumi, or load a "
                "file with what `./mail pulumi stack output --json --show-secrets --stack STACK` prints in the "
                f"infrastructure's clone (set {OUTPUTS_FILE_VARIABLE} or pass its path)"
            )
        arguments = [program, *command[1:], "stack", "output", "--json", "--show-secrets", "--non-interactive"]
        if stack:
            arguments += ["--stack", stack]
        name = f"stack {stack}" if stack else "the selected stack"
        try:
            done = subprocess.run(  # noqa: S603 -- the caller names the CLI; no shell is involved
                arguments,
                cwd=cwd,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=CLI_TIMEOUT_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = error.strerror if isinstance(error, OSError) else f"no answer in {CLI_TIMEOUT_SECONDS:g} s"
            raise StackOutputsError(
                f"cannot read the outputs of {name} with {command[0]} ({reason}): run `{command[0]} stack output` to see"
            ) from None
        if done.returncode != 0:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise StackOutputsError(
                f"{command[0]} could not read the outputs of {name} (exit {done.returncode}: "
                f"{lines[0][:300] if lines else 'it said nothing'}): name another with --stack, or bring it up "
                f"with `./mail apply {stack or 'STACK'}` in the infrastructure's clone"
            )
        return cls.from_json(done.stdout, source=name)

    # --- mailboxes ---

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """Every mailbox with its eight keys, in the order of the outputs."""
        return self._mailboxes

    def mailbox(self, agent_id: str | UUID) -> Mailbox:
        """The mailbox of an agent; UnknownMailboxError if the stack has none."""
        try:
            return self._by_agent[str(agent_id)]
        except KeyError:
            raise UnknownMailboxError("agent id", str(agent_id), len(self)) from None

    def by_address(self, address: str) -> Mailbox:
        """The mailbox that receives at this address, in any case; UnknownMailboxError if the stack has none."""
        try:
            return self._by_address[address.strip().lower()]
        except KeyError:
            raise UnknownMailboxError("address", address, len(self)) from None

    def agent_at(self, address: str) -> str | None:
        """The id of the agent who receives at this address, or None."""
        mailbox = self._by_address.get(address.strip().lower())
        return None if mailbox is None else mailbox.agent_id

    def __iter__(self) -> Iterator[Mailbox]:
        return iter(self._mailboxes)

    def __len__(self) -> int:
        return len(self._mailboxes)

    def __bool__(self) -> bool:
        return True  # a stack without agents is still a stack

    # --- the other outputs ---

    @property
    def contract_version(self) -> str:
        return self._outputs.contract_version

    @property
    def domain(self) -> str:
        """The domain of the addresses, as the stack has it."""
        return self._outputs.domain

    @property
    def platform_env(self) -> dict[str, str]:
        """The platform's environment variables; secret."""
        return self._outputs.platform_env.as_dict()

    @property
    def gateway_env(self) -> str:
        """The gateway's file as JSON text, "" without a gateway; secret, and no agent's business."""
        return self._outputs.gateway_env

    @property
    def inbox_url(self) -> str:
        """Where mail is read, "" for a stack without an inbox."""
        return self._outputs.inbox_env.url if self._outputs.inbox_env else ""

    @property
    def inbox_token(self) -> str:
        """What the platform reads every mailbox with, "" without an inbox; secret."""
        return self._outputs.inbox_env.platform if self._outputs.inbox_env else ""

    def inbox_password(self, agent_id: str | UUID) -> str:
        """What an agent reads its own mailbox with; secret. Raises UnknownMailboxError and NoInboxError."""
        agent = self.mailbox(agent_id).agent_id
        if not self._outputs.inbox_env:
            raise NoInboxError(self.domain)
        return self._outputs.inbox_env.password(agent)

    def inbox(self, agent_id: str | UUID, *, url: str = "", ca_file: str | None = None) -> InboxClient:
        """The agent's mailbox, to read and to send from; `url` where it is reached at another than the outputs say.

        Raises UnknownMailboxError and NoInboxError.
        """
        password, box = self.inbox_password(agent_id), self.mailbox(agent_id)
        return InboxClient(
            url or self.inbox_url, box.agent_id, password, send_password=box.smtp_password, ca_file=ca_file
        )

    @property
    def expected_records(self) -> tuple[ExpectedRecord, ...]:
        """The DNS records that the domain needs, each with its reason."""
        return self._outputs.expected_records

    @property
    def dkim_status(self) -> str:
        """Mailjet's verdict on DKIM ("OK", "Error", …), "" when the stack exports none."""
        return self._outputs.dkim_status or ""

    @property
    def spf_status(self) -> str:
        """Mailjet's verdict on SPF, "" when the stack exports none."""
        return self._outputs.spf_status or ""

    @property
    def tunnel_hostname(self) -> str:
        """The tunnel's public host, "" without a tunnel."""
        return self._outputs.tunnel_hostname or ""

    @property
    def tunnel_token(self) -> str:
        """What `cloudflared` needs to run the tunnel, "" without one; secret."""
        return self._outputs.tunnel_token or ""

    @property
    def webhook_url(self) -> str:
        """Where Mailjet delivers inbound mail, without the secret in it."""
        return self._outputs.webhook_url or ""

    def __repr__(self) -> str:
        return f"MailStack(domain={self.domain!r}, mailboxes={len(self)}, contract_version={self.contract_version!r})"
