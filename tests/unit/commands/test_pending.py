"""Creates that killed runs have left pending: told, and cleared only after a refresh that goes through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import pending
from commands.pending import clear, pending_creates, pending_findings
from commands.stack_commands import PulumiFailedError

OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["creating", "updating", "deleting", "reading"]), st.sampled_from("abcde")), max_size=20
)


def export(operations: list[tuple[str, str]]) -> dict[str, object]:
    noted = [
        {"type": kind, "resource": {"urn": f"urn:pulumi:dev::agentmail::t:T::{name}"}} for kind, name in operations
    ]
    return {"version": 3, "deployment": {"pending_operations": noted} if noted else {}}


@given(OPERATIONS)
def test_every_create_is_named_once_and_nothing_else(operations: list[tuple[str, str]]) -> None:
    names = pending_creates(export(operations))
    assert len(names) == len(set(names))
    assert set(names) == {name for kind, name in operations if kind == "creating"}
    findings = list(pending_findings("dev", export(operations)))
    assert [one.status for one in findings] == ["warning"] * bool(names)
    for one in findings:
        assert one.sentence.endswith("with: ./mail state clear-pending dev")


def test_an_empty_stack_has_none() -> None:
    assert pending_creates({"version": 3, "deployment": None}) == []


@pytest.mark.parametrize("failing", [None, "--preview-only"])
def test_nothing_is_cleared_before_the_services_have_answered(
    failing: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []

    class Engine:
        def __init__(self, stack: str, *, project: Path) -> None:
            assert (stack, project) == ("dev", tmp_path)

        def export(self) -> dict[str, object]:
            return export([("creating", "mail-mx"), ("creating", "mail-mx")])

        def run(self, *arguments: str) -> str:
            ran.append(arguments)
            if failing in arguments:
                raise PulumiFailedError("refresh", "error: no answer")
            return ""

    monkeypatch.setattr(pending, "Pulumi", Engine)
    if failing:
        with pytest.raises(PulumiFailedError):
            clear("dev", tmp_path, yes=True)
    else:
        assert clear("dev", tmp_path, yes=True) == 0
        assert "mail-mx" in capsys.readouterr().out
    cleared = [arguments for arguments in ran if "--clear-pending-creates" in arguments]
    assert len(cleared) == (0 if failing else 1)
    assert "--preview-only" in ran[0]
