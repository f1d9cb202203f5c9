"""What counts as a difference between what was approved and what an up would do now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.report.preview import UNKNOWN
from commands.report.up_plan import SECRET, PlanDiffersError, PlanFileError, UpPlan, planned, read_plan

Step = dict[str, Any]

PLAIN = st.text(max_size=8).filter(lambda text: text != SECRET and UNKNOWN not in text)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | PLAIN | st.sampled_from([SECRET, UNKNOWN]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=5,
)
INPUTS = st.dictionaries(st.sampled_from(["name", "content", "ttl", "routes", "url"]), VALUES, max_size=4)


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True, min_size=1))
    return [
        step(name, draw(st.sampled_from(["create", "update", "delete", "same"])), draw(INPUTS), draw(INPUTS))
        for name in names
    ]


def step(name: str, op: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Step:
    return {
        "urn": f"urn:pulumi:prod::agentmail::cloudflare:index/dnsRecord:DnsRecord::{name}",
        "op": op,
        "oldState": None if old is None or op == "create" else {"inputs": old, "modified": "2026"},
        "newState": None if new is None or op == "delete" else {"inputs": new},
    }


def plan(*of: Step, refresh: bool = False, stack: str = "prod", note: str = "") -> UpPlan:
    return planned({"steps": of}, project="agentmail", stack=stack, refresh=refresh, note=note)


@given(steps(), st.randoms(use_true_random=False))
def test_the_order_of_steps_and_what_surrounds_them_is_no_difference(of: list[Step], random: Any) -> None:
    other = json.loads(json.dumps(of))
    random.shuffle(other)
    for one in other:
        one["detailedDiff"] = {"ttl": {"kind": "update"}}
        for state in (one["oldState"], one["newState"]):
            if state:
                state |= {"modified": "2027", "sourcePosition": "elsewhere", "dependencies": ["urn:pulumi:x"]}
                state["inputs"]["__provider"] = "gASV"
    other.append(step("looked at", "refresh", {"name": "x"}, {"name": "y"}))
    assert plan(*of).differences(plan(*other, note="another commit")) == []
    assert plan(*of).digest == plan(*other).digest


@given(st.sampled_from(["create", "update", "delete"]), INPUTS, INPUTS, VALUES, st.sampled_from(["old", "new"]))
def test_every_changed_input_is_a_difference(
    op: str, old: dict[str, Any], new: dict[str, Any], value: Any, side: str
) -> None:
    side = {"create": "new", "delete": "old"}.get(op, side)
    changed = {"old": dict(old), "new": dict(new)}
    changed[side]["another"] = value
    before, after = plan(step("mx", op, old, new)), plan(step("mx", op, changed["old"], changed["new"]))
    assert before.differences(after)
    assert before.digest != after.digest


@pytest.mark.parametrize("op", ["create", "update", "delete", "create-replacement", "import", "discard"])
def test_another_operation_is_a_difference(op: str) -> None:
    other = "replace"
    assert plan(step("mx", op, {"a": 1}, {"a": 2})).differences(plan(step("mx", other, {"a": 1}, {"a": 2}))) == [
        *sorted([f"{op} mx is gone", "replace mx came"], key=lambda told: told.split()[0]),
    ]


@pytest.mark.parametrize("mark", [SECRET, UNKNOWN, f"prefix {UNKNOWN}"])
@pytest.mark.parametrize("inside", [lambda value: value, lambda value: [value], lambda value: {"a": {"b": value}}])
def test_an_update_of_nothing_but_secrets_is_none(mark: str, inside: Any) -> None:
    """`preview --json` masks them: the job that plans sees an update where the job with the secrets sees none."""
    assert plan(step("routes", "update", {"url": inside(mark), "n": 1}, {"url": inside(mark), "n": 1})).steps == ()
    assert plan(step("routes", "update", {"url": inside(mark), "n": 1}, {"url": inside(mark), "n": 2})).steps


def test_a_known_value_in_place_of_an_unknown_is_a_difference() -> None:
    before, after = plan(step("mx", "create", None, {"url": UNKNOWN})), plan(step("mx", "create", None, {"url": "x"}))
    assert before.differences(after) == ["create mx: url"]


def test_a_secret_may_be_unknown_to_the_job_that_plans() -> None:
    before = plan(
        step("token", "update", {"url": SECRET}, {"url": UNKNOWN}), step("mx", "create", None, {"x": UNKNOWN})
    )
    assert before.differences(plan(step("mx", "create", None, {"x": SECRET}))) == []


def test_a_second_delete_of_one_resource_is_a_difference() -> None:
    one, other = step("mx", "delete", {"content": "a"}, None), step("mx", "delete", {"content": "b"}, None)
    assert plan(one).differences(plan(one, other)) == ["delete mx came"]
    assert plan(one, other).differences(plan(one)) == ["delete mx is gone"]
    assert plan(one, one).differences(plan(one, other)) == ["delete mx: content"]
    assert plan(one, other).differences(plan(other, one)) == []


def test_differences_name_resource_and_property() -> None:
    before = plan(
        step("mx", "update", {"ttl": 300, "content": "a"}, {"ttl": 600, "content": "a"}),
        step("spf", "create", None, {}),
    )
    after = plan(
        step("mx", "update", {"ttl": 300, "content": "a"}, {"ttl": 900, "content": "a"}),
        step("dkim", "delete", {}, None),
    )
    found = before.differences(after)
    assert found == ["delete dkim came", "update mx: ttl", "create spf is gone"]
    sentence = str(PlanDiffersError("prod", found, file="plan.json"))
    assert (
        "An up of prod would no longer do what was approved (delete dkim came, update mx: ttl, create spf is gone)"
        in sentence
    )
    assert "./mail preview prod --save plan.json" in sentence
    assert plan(refresh=True).differences(plan()) == ["one of both looked at the services first"]


class TestFile:
    def test_a_saved_plan_is_read_as_it_was_and_holds_no_value(self, tmp_path: Path) -> None:
        made = plan(
            step("mx", "create", None, {"content": "10 mx.corp.example", "routes": {"id": "a@b.example"}}), note="abc"
        )
        made.save(tmp_path / "plan.json")
        assert read_plan(tmp_path / "plan.json", project="agentmail", stack="prod") == made
        text = (tmp_path / "plan.json").read_text()
        assert "corp" not in text
        assert "b.example" not in text

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("", "is no whole JSON object"),
            ("[]", "is no whole JSON object"),
            ('{"version": 1', "is no whole JSON object"),
            ("[" * 100_000, "is no whole JSON object"),
            ("{}", "has version None, expected 1"),
            ('{"version": 2}', "has version 2, expected 1"),
            ('{"version": 1, "project": 3}', "is not what preview --save writes, at project"),
            ('{"version": 1, "project": "p", "stack": "s", "steps": []}', "its digest is another"),
        ],
    )
    def test_what_is_no_plan_is_told_in_a_sentence(self, tmp_path: Path, text: str, told: str) -> None:
        file = tmp_path / "plan.json"
        file.write_text(text)
        with pytest.raises(PlanFileError, match=told) as caught:
            read_plan(file, project="agentmail", stack="prod")
        assert f"./mail preview prod --save {file}" in str(caught.value)

    def test_one_of_another_stack_one_that_was_edited_and_one_that_is_not_there(self, tmp_path: Path) -> None:
        file = tmp_path / "plan.json"
        plan(step("mx", "create", None, {}), stack="staging").save(file)
        with pytest.raises(PlanFileError, match="is of agentmail/staging, not of agentmail/prod"):
            read_plan(file, project="agentmail", stack="prod")
        file.write_text(file.read_text().replace('removals": 0', 'removals": 40'))
        with pytest.raises(PlanFileError, match="its digest is another"):
            read_plan(file, project="agentmail", stack="staging")
        file.write_text(file.read_text().replace('"create"', '"delete"'))
        with pytest.raises(PlanFileError, match="its digest is another"):
            read_plan(file, project="agentmail", stack="staging")
        with pytest.raises(PlanFileError, match="cannot be read"):
            read_plan(tmp_path / "none.json", project="agentmail", stack="prod")
