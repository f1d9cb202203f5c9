"""The engine's refusals, as the engine words them, become one sentence with what mends it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from commands.engine_errors import explained, locked
from commands.stack_commands import PulumiFailedError
from engine.errors import StackMissingError

BACKEND = "s3://states (Pulumi.prod.backend names it)"


@pytest.mark.parametrize(
    ("said", "found", "remedy"),
    [
        (
            "error: no stack named 'prod' found",
            "found in s3://states (Pulumi.prod.backend names it)",
            "./mail env new prod",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: incorrect passphrase",
            "not the one that the secrets of 'prod' are encrypted with",
            "export PULUMI_CONFIG_PASSPHRASE_FILE=FILE",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: passphrase must be set with "
            "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE environment variables",
            "no passphrase is set",
            "export PULUMI_CONFIG_PASSPHRASE_FILE=FILE",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: unable to read PULUMI_CONFIG_PASSPHRASE_FILE: "
            "open /nix: no such file or directory",
            "PULUMI_CONFIG_PASSPHRASE_FILE names /nix, which cannot be read (no such file or directory)",
            "export PULUMI_CONFIG_PASSPHRASE_FILE=FILE",
        ),
        (
            'error: unable to open state directory "file:///srv/a b": stat /srv/a b: no such file or directory',
            "the backend file:///srv/a b cannot be opened (no such file or directory)",
            "mkdir -p '/srv/a b'",
        ),
        (
            'error: unable to open bucket "s3://": s3blob.OpenBucket: bucketName is required',
            "the backend s3:// cannot be opened (bucketName is required)",
            "echo s3://BUCKET > Pulumi.prod.backend",
        ),
        (
            'error: unable to open state database "postgres://me:pass@db/states": failed to ping PostgreSQL: EOF',
            "the backend postgres://me:****@db/states cannot be opened (EOF); expected a PostgreSQL that answers",
            "read -rs PGPASSWORD && export PGPASSWORD",
        ),
        (
            "error: invalid YAML file: yaml: line 24: found a tab character that violates indentation",
            "Pulumi.prod.yaml is no valid YAML (line 24: found a tab character that violates indentation)",
            "git diff Pulumi.prod.yaml",
        ),
        (
            "error: validating stack config: Stack 'prod' with configuration key 'ttl' must be of type 'integer'",
            "ttl in Pulumi.prod.yaml has another type; expected integer",
            "./mail pulumi config set --stack prod ttl VALUE",
        ),
        (
            "error: validating stack config: Stack 'prod' with configuration key 'tlsReports' must be of type 'array<string>'",
            "tlsReports in Pulumi.prod.yaml has another type; expected array<string>",
            "config rm --stack prod tlsReports && ./mail pulumi config set --stack prod --path 'tlsReports[0]' VALUE",
        ),
        (
            "error: validating stack config: Stack 'prod' with configuration key 'mailjetSenders' must be of type "
            "'array<object>'",
            "expected array<object>",
            "--path 'mailjetSenders[0].NAME' VALUE",
        ),
        (
            'error: read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): operation error S3: GetObject, get '
            "identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found, operation error ec2imds: "
            "GetMetadata, http response error StatusCode: 403, request to EC2 IMDS failed",
            "the backend s3://states (Pulumi.prod.backend names it) is asked without credentials",
            "export AWS_ACCESS_KEY_ID=ID",
        ),
        (
            'error: read ".pulumi/meta.yaml": blob (key ".pulumi/meta.yaml") (code=Unknown): operation error S3: GetObject, exceeded '
            'maximum number of attempts, 3, https response error StatusCode: 0, RequestID: , HostID: , request send failed, Get "'
            'http://127.0.0.1:9/states/.pulumi/meta.yaml?x-id=GetObject": dial tcp 127.0.0.1:9: connect: connection refused',
            "cannot be read (connection refused); expected a bucket that answers",
            "echo s3://BUCKET?region=eu-west-1 > Pulumi.prod.backend",
        ),
        (
            'error: constructing secrets manager of type "cloud": secrets (code=Unknown): operation error KMS: Decrypt, exceeded maximum '
            'number of attempts, 3, https response error StatusCode: 0, RequestID: , request send failed, Post "http://127.0.0.1:9/": '
            "dial tcp 127.0.0.1:9: connect: connection refused",
            "the key for the secrets of 'prod' cannot be used (connection refused)",
            "grep secretsprovider Pulumi.prod.yaml",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: secrets (code=Unknown): operation error KMS: Decrypt, get "
            "identity: get credentials: failed to refresh cached credentials, no EC2 IMDS role found",
            "the key for the secrets of 'prod' is asked without credentials",
            "export AWS_ACCESS_KEY_ID=ID",
        ),
        (
            "error: getting stack configuration: get stack secrets manager: secrets (code=PermissionDenied): operation error KMS: Decrypt, "
            "https response error StatusCode: 400, RequestID: 1, api error AccessDeniedException: User: arn:aws:iam::1:user/ci is not "
            "authorized to perform: kms:Decrypt on this resource",
            "refuses the credentials; expected ones that may decrypt and encrypt",
            "export AWS_ACCESS_KEY_ID=ID",
        ),
        (
            "error: get stack secrets manager: secrets (code=FailedPrecondition): operation error KMS: Decrypt, https response error "
            "StatusCode: 400, RequestID: 1, DisabledException: arn:aws:kms:eu-west-1:1:key/2 is disabled.",
            "cannot be used (arn:aws:kms:eu-west-1:1:key/2 is disabled); expected the one that encrypted them",
            "grep secretsprovider Pulumi.prod.yaml",
        ),
        (
            "error: could not create secrets manager for new stack: secrets (code=NotFound): operation error KMS: Encrypt, https response "
            "error StatusCode: 400, RequestID: 1, NotFoundException: Alias arn:aws:kms:eu-west-1:1:alias/x is not found.",
            "cannot be used (Alias arn:aws:kms:eu-west-1:1:alias/x is not found); expected one that answers",
            "./mail env new prod --secrets-provider URL",
        ),
        (
            "error: failed to load checkpoint: place 1: unexpected end of JSON input",
            "was cut off",
            "./mail state restore prod",
        ),
    ],
)
def test_each(said: str, found: str, remedy: str) -> None:
    sentence = explained(said, stack="prod", backend=BACKEND)
    assert sentence is not None
    assert found in sentence
    assert remedy in sentence
    assert "\n" not in sentence
    assert str(PulumiFailedError("preview", said, stack="prod", backend=BACKEND)).endswith(sentence)


def test_the_launcher_s_own_sentence_stands() -> None:
    own = str(StackMissingError("prod", BACKEND, has_file=True))
    assert PulumiFailedError("preview", f"engine: {own}", stack="prod", backend=BACKEND).reason == own
    assert own.endswith("./mail pulumi stack select --create prod && ./mail adopt prod")


def test_what_speaks_for_itself() -> None:
    assert explained("error: the sender domain is not verified", stack="prod", backend=BACKEND) is None
    assert PulumiFailedError("up", "error: no room").reason == "no room"


def refusal(*holders: str) -> str:
    """What the engine says to a second run, on a backend that is no service."""
    lines = "".join(f"\n  s3://states/.pulumi/locks/a.json: created by {holder}" for holder in holders)
    return (
        f"error: the stack is currently locked by {len(holders)} lock(s). Either wait for the other process(es) to end or "
        f"delete the lock file with `pulumi cancel`.{lines}\n"
    )


class TestLock:
    def test_who_has_the_stack_is_said_and_what_to_do(self) -> None:
        said = locked(refusal("ada@other.example (pid 4711) at 2026-11-26T07:04:59Z"), stack="prod")
        assert said == (
            "'prod' is locked by ada@other.example (process 4711) since 2026-11-26T07:04:59Z; wait until that run has ended, or, "
            "where it is dead, take its lock away with: ./mail pulumi cancel --stack prod"
        )

    def test_on_this_machine_it_is_seen_whether_the_run_is_alive(self) -> None:
        done = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
        here, now = socket.gethostname(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        both = refusal(f"ada@{here} (pid {int(done.stdout)}) at {now}", f"eve@{here} (pid {os.getpid()}) at {now}")
        said = locked(both, stack="prod") or ""
        assert "ada" in said.partition(" and eve")[0]
        assert f"since {now}, which is dead: this machine runs no such process and eve@" in said
        assert f"since {now}, which runs on this machine; wait" in said

    def test_a_zombie_is_dead(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", ""])
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        now = datetime.now().astimezone().isoformat(timespec="seconds")
        said = locked(refusal(f"ada@{socket.gethostname()} (pid {child.pid}) at {now}"), stack="prod")
        assert "which is dead: this machine runs no such process;" in (said or "")
        assert child.wait() == 0

    def test_another_process_that_has_its_number_by_now_is_none(self) -> None:
        before = refusal(f"ada@{socket.gethostname()} (pid {os.getpid()}) at 2025-11-26T07:04:59+01:00")
        assert "since 2025-11-26T07:04:59+01:00, which is dead:" in (locked(before, stack="prod") or "")

    def test_every_command_tells_it(self) -> None:
        error = PulumiFailedError("destroy", refusal("ada@other.example (pid 1) at 2026-11-26T07:04:59Z"), stack="prod")
        assert "'prod' is locked by ada@other.example (process 1) since 2026-11-26T07:04:59Z;" in str(error)

    def test_anything_else_is_none(self) -> None:
        assert locked("error: no such stack", stack="prod") is None
