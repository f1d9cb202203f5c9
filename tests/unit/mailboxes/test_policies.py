"""What a population file may say of an agent beyond who she is."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailboxes.merging import merge_export
from mailboxes.policies import AgentPolicy, parse_policies, refuse_lower_epochs, render_policies
from mailboxes.population import PopulationError, load_population, policies

HEAD = "seed: s\ncreated_at: '20241005123045'\nagents:\n"
POLICIES = st.builds(
    AgentPolicy,
    credential_epoch=st.integers(0, 9),
    limits=st.lists(
        st.tuples(st.sampled_from(["messages_a_day", "messages_an_hour"]), st.integers(0, 9)), max_size=2
    ).map(tuple),
    may_write_to=st.none() | st.lists(st.sampled_from(["a.example", "x@b.example"]), max_size=2).map(tuple),
)


def written(folder: Path, *agents: str, head: str = HEAD) -> Path:
    file = folder / "population.yaml"
    file.write_text(head + "".join(f"  - {agent}\n" for agent in agents))
    return file


class TestReading:
    def test_every_key(self, tmp_path: Path) -> None:
        file = written(
            tmp_path,
            "{id: a1, name: Ana Lopez, credential_epoch: 2, messages_an_hour: 20, recipients_a_day: 0}",
            "{id: b1, name: Bo Diaz, may_write_to: 'Agents.Example, ops@azt3knet.example,agents.example'}",
            "{id: c1, name: Cy Roa}",
            "{id: d1, name: Di Sol, credential_epoch: 0}",
        )
        assert policies([load_population(file)]) == {
            "a1": AgentPolicy(credential_epoch=2, limits=(("messages_an_hour", 20), ("recipients_a_day", 0))),
            "b1": AgentPolicy(may_write_to=("agents.example", "ops@azt3knet.example")),
        }

    def test_in_json_numbers_are_numbers(self, tmp_path: Path) -> None:
        file = tmp_path / "population.json"
        agent = {"id": "a1", "name": "Ana Lopez", "credential_epoch": 3, "messages_a_day": 9}
        file.write_text(json.dumps({"seed": "s", "created_at": "20241005123045", "agents": [agent]}))
        found = policies([load_population(file)])["a1"]
        assert (found.credential_epoch, found.limits) == (3, (("messages_a_day", 9),))

    @pytest.mark.parametrize(
        ("said", "problem"),
        [
            ("credential_epoch: -1", "credential_epoch is '-1'; expected a whole number from 0 to 999,999,999"),
            ("credential_epoch: one", "credential_epoch is 'one'"),
            ("credential_epoch: 1.5", "credential_epoch is '1.5'"),
            ("messages_an_hour: 99999999999", "messages_an_hour is '99999999999'"),
            ("messages_an_hour: [5]", "messages_an_hour is a list"),
            ("may_write_to: everybody", "may_write_to has 'everybody'; expected domains and addresses"),
            ("may_write_to: 'a.example,, b.example'", "may_write_to has ''"),
            ("may_write_to: '<a@b.example>'", "may_write_to has '<a@b.example>'"),
            ("credentialEpoch: 1", "write it credential_epoch"),
            ("messages_an_hr: 1", "write it messages_an_hour"),
        ],
    )
    def test_what_is_wrong_is_told_with_file_line_and_agent(self, tmp_path: Path, said: str, problem: str) -> None:
        file = written(tmp_path, "{id: b1, name: Bo Diaz}", f"{{id: a1, name: Ana Lopez, {said}}}")
        with pytest.raises(PopulationError) as caught:
            load_population(file)
        assert problem in str(caught.value)
        assert f"{file}:5" in str(caught.value)

    def test_an_import_leaves_them_alone(self, tmp_path: Path) -> None:
        file = written(tmp_path, "{id: a1, name: Ana Lopez, credential_epoch: 2, may_write_to: agents.example}")
        export = tmp_path / "export.json"
        agents = [{"id": "a1", "name": "Ana Maria Lopez", "username_hint": "x"}, {"id": "b1", "name": "Bo Diaz"}]
        export.write_text(json.dumps({"seed": "s", "agents": agents}))
        merge_export(export, file).write()
        found = policies([load_population(file)])
        assert found == {"a1": AgentPolicy(credential_epoch=2, may_write_to=("agents.example",))}
        assert "Ana Maria" in file.read_text()


class TestGuard:
    def test_an_epoch_never_goes_down(self) -> None:
        old = {"a1": AgentPolicy(credential_epoch=2), "b1": AgentPolicy(credential_epoch=1)}
        said = refuse_lower_epochs(old, {"a1": AgentPolicy(credential_epoch=1)}, {"a1": "x", "b1": "y"})
        assert said is not None
        assert "2 credential_epoch would go down, of 0 allowed (a1: 2 -> 1, b1: 1 -> 0)" in said

    def test_up_the_same_and_gone_agents_are_fine(self) -> None:
        old = {"a1": AgentPolicy(credential_epoch=2), "b1": AgentPolicy(credential_epoch=1)}
        new = {"a1": AgentPolicy(credential_epoch=2), "c1": AgentPolicy(credential_epoch=9)}
        assert refuse_lower_epochs(old, new, {"a1": "x", "c1": "z"}) is None
        assert refuse_lower_epochs({}, new, {"a1": "x", "c1": "z"}) is None


class TestText:
    @given(st.dictionaries(st.text(min_size=1, max_size=4), POLICIES, max_size=4))
    def test_there_and_back(self, found: dict[str, AgentPolicy]) -> None:
        assert parse_policies(render_policies(found)) == found

    def test_none_is_no_text(self) -> None:
        assert render_policies({}) == ""

    def test_in_words(self) -> None:
        policy = AgentPolicy(credential_epoch=1, limits=(("messages_an_hour", 0),), may_write_to=())
        assert str(policy) == "credential_epoch 1; messages_an_hour unlimited; may_write_to nobody"
        assert str(AgentPolicy()) == "nothing special"
