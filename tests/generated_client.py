"""`python -m tests.generated_client`: a client that openapi-python-client makes of the inbox's page, and what it can do.

The generator comes from the index into a virtualenv that is thrown away; any of its warnings is a failure. The client then
lists, reads, searches, marks, answers, sends and deletes at a served inbox.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from types import ModuleType
from typing import Any

from azmail.gateway.credentials import Scope
from azmail.inbox.database import Database
from emulators.serving import ServerThread
from tests.unit.azmail.inbox.desk import Desk, credential, opened_desk
from tests.unit.azmail.inbox.mails import ME, with_files

GENERATOR = "openapi-python-client"
CONFIG = {
    # What the generator cannot know: that these are files. Without it they are left out, with a warning.
    "content_type_overrides": {"*/*": "application/octet-stream", "message/rfc822": "application/octet-stream"},
    "post_hooks": [],
}
"""As docs/inbox.md shows it."""


def generated(folder: Path, schema: object) -> ModuleType:
    """The client's package, made of the schema."""
    environment = folder / "venv"
    venv.create(environment, with_pip=True)
    subprocess.run([environment / "bin" / "pip", "install", "--quiet", GENERATOR], check=True)
    (folder / "openapi.json").write_text(json.dumps(schema))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    command = [str(environment / "bin" / GENERATOR), "generate", "--fail-on-warning", "--path", "openapi.json"]
    subprocess.run([*command, "--config", "config.json", "--output-path", "client"], cwd=folder, check=True)
    # Behind our own packages: what the client needs beside them.
    packages = next((environment / "lib").glob("python*/site-packages"))
    sys.path[:] = [str(folder / "client"), *sys.path, str(packages)]
    return importlib.import_module("azmail_inbox_client")


class Client:
    """Calls the generated functions as an agent."""

    def __init__(self, package: ModuleType, url: str, scope: Scope) -> None:
        self._package = package
        token = base64.b64encode(":".join(credential(ME, scope)).encode()).decode()
        self.calls = 0
        self._client = package.AuthenticatedClient(base_url=url, token=token, prefix="Basic")

    def __call__(self, name: str, *arguments: object, **options: object) -> Any:
        """`messages.search`: the function's answer, with its status."""
        self.calls += 1
        function = importlib.import_module(f"{self._package.__name__}.api.{name}")
        return function.sync_detailed(*arguments, client=self._client, **options)


def use(package: ModuleType, url: str, desk: Desk) -> int:
    """How many calls there were; each is looked at."""
    models: Any = importlib.import_module(f"{package.__name__}.models")
    reads, sends = (Client(package, url, scope) for scope in (Scope.INBOX, Scope.SEND))
    listed = reads("messages.messages", limit=1).parsed
    (newest,) = listed.messages
    assert (newest.subject, newest.seen, newest.attachment_count) == ("Subject 3", False, 1)
    older = reads("messages.messages", before=listed.next_).parsed
    assert [one.subject for one in older.messages] == ["Subject 2", "Subject 1"]
    assert reads("messages.message", newest.id).parsed.text == "Text of 3"
    assert [one.id for one in reads("messages.search", q="subject 3").parsed.messages] == [newest.id]
    assert reads("messages.attachment", newest.id, 1).parsed.payload.read() == b"0123456789"
    part = reads("messages.attachment", newest.id, 1, range_="bytes=2-4")
    assert (part.status_code, part.parsed.payload.read()) == (206, b"234")
    assert b"Subject: Subject 3" in reads("messages.as_mime", newest.id).parsed.payload.read()
    marked = reads("messages.mark", newest.id, body=models.Marks(seen=True, add_labels=["done"])).parsed
    assert (marked.seen, marked.labels) == (True, ["done"])
    assert [(one.label, one.messages) for one in reads("messages.labels").parsed.labels] == [("done", 1)]
    mailbox = reads("mailbox.mailbox").parsed
    assert (mailbox.agent, mailbox.messages, mailbox.unread) == (ME, 3, 2)
    answer = sends("sending.reply", newest.id, body=models.ReplyToSend(text="Thanks"), idempotency_key="k").parsed
    assert answer.recipients == ["ada@x.example"]
    sent = sends("sending.send", body=models.MailToSend(to=["x@y.example"], subject="Plan", text="t")).parsed
    assert sent.recipients == ["x@y.example"]
    assert len(desk.outbox.sent) == 2
    came = reads("messages.messages", after=mailbox.cursor).parsed.messages
    assert [(one.direction, one.subject) for one in came] == [("out", "Re: Subject 3"), ("out", "Plan")]
    thread = reads("threads.thread", came[0].thread).parsed.messages
    assert [one.direction for one in thread] == ["out", "in"]
    assert len(reads("threads.threads").parsed.threads) == 4
    assert reads("sending.events").parsed.events == []
    assert reads("messages.remove", newest.id).status_code == 204
    for refused in (reads("messages.message", newest.id), reads("platform.state")):
        assert (refused.status_code, refused.parsed.status) == (404, 404)
    assert sends("mailbox.mailbox").parsed.status == 401
    return reads.calls + sends.calls


def main() -> int:
    """Generate, use, and say so."""
    with tempfile.TemporaryDirectory(prefix="azmail-generated-") as name:
        folder = Path(name)
        database = Database(f"sqlite:///{folder}/inbox.sqlite")
        database.migrate()
        with opened_desk(database, folder) as desk, ServerThread(desk.app) as server:
            desk.bring(1, 2)
            desk.deliver(with_files(3, b"0123456789"))
            package = generated(folder, desk.app.openapi())
            os.environ["NO_PROXY"] = "127.0.0.1"
            calls = use(package, server.url, desk)
        database.close()
    print(f"{GENERATOR} made a client without a warning, and {calls} calls of it did what the page says")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
