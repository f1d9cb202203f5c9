"""Addresses of all populations of a stack together."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from mailboxes.addresses import AddressError, DomainError, addresses, without_first_choice
from mailboxes.naming import NamingError
from mailboxes.population import Agent, Population

SECOND = "20241005123045"
DOMAIN = "dev.agents.example"


def population(*agents: Agent, seed: str = "s", path: str | None = None) -> Population:
    return Population(agents=agents, seed=seed, created_at=SECOND, path=path)


def crowd(numbers: range, prefix: str = "agent") -> list[Agent]:
    return [Agent(id=f"{prefix}-{number:05}", name="Maria Nunez") for number in numbers]


class TestAddresses:
    def test_golden_values(self) -> None:
        first = population(Agent(id="b", name="Vector Aurora"), Agent(id="a", name="王", username_hint="Wang_1"))
        second = population(Agent(id="c", local_part="bot"), seed="t")

        found = addresses([first, second], "Dev.Agents.Example")

        assert list(found.items()) == [
            ("a", "wang.wang1.066.20241005123045@dev.agents.example"),
            ("b", "vector.aurora.544.20241005123045@dev.agents.example"),
            ("c", "bot@dev.agents.example"),
        ]

    def test_nobody(self) -> None:
        assert addresses([], DOMAIN) == {}
        assert addresses([Population(agents=())], DOMAIN) == {}

    def test_an_agents_own_stamp(self) -> None:
        agent = Agent(id="a", name="Maria Nunez", created_at="20241106080000")

        assert addresses([population(agent)], DOMAIN)["a"].endswith(".20241106080000@dev.agents.example")

    def test_populations_share_the_thousand(self) -> None:
        first, second = population(*crowd(range(500))), population(*crowd(range(500, 1000)), seed="t")

        assert len(set(addresses([first, second], DOMAIN).values())) == 1000
        with pytest.raises(NamingError, match="agent agent-01000: all 1,000"):
            addresses([first, second, population(*crowd(range(1000, 1001)))], DOMAIN)

    def test_pins_of_one_population_bind_the_others(self) -> None:
        usual = population(Agent(id="a", name="Maria Nunez"))
        before = addresses([usual], DOMAIN)["a"]
        thief = population(Agent(id="z", local_part=before.partition("@")[0]))

        found = addresses([usual, thief], DOMAIN)

        assert found["z"] == before
        assert found["a"] != before

    def test_an_agent_in_two_populations(self) -> None:
        first = population(Agent(id="A1", name="Maria Nunez"), path="one.yaml")
        second = population(Agent(id="a1", name="Maria Nunez"), path="two.yaml")

        with pytest.raises(AddressError, match=r"^two\.yaml: agent a1: is also in one\.yaml; an agent belongs to one"):
            addresses([first, second], DOMAIN)
        with pytest.raises(AddressError):
            without_first_choice([first, second])

    def test_one_population_named_twice(self) -> None:
        with pytest.raises(AddressError, match="has nobody who is not in another population too"):
            addresses([population(*crowd(range(2))), population(*crowd(range(2)))], DOMAIN)

    @pytest.mark.parametrize(
        "domain",
        ["", "localhost", "a..b", "agents.example.", "-a.example", "a_b.example", "ñ.example", "a" * 64 + ".b"],
    )
    def test_a_domain_that_is_none(self, domain: str) -> None:
        with pytest.raises(DomainError, match="cannot stand in an address; expected a name like agents"):
            addresses([], domain)

    def test_an_address_too_long(self) -> None:
        domain = ".".join(["a" * 60] * 4)[:-40]
        short, long = Agent(id="s", local_part="x" * 40), Agent(id="l", local_part="x" * 64)

        with pytest.raises(AddressError, match=r"^agent l: address x{64}@.* has 268 octets; at most 254 are allowed$"):
            addresses([population(short, long)], domain)
        assert len(addresses([population(short)], domain)["s"]) == 244


class TestSingleMailboxes:
    def test_legacy_form(self) -> None:
        found = addresses([population(*crowd(range(1)))], DOMAIN, single_mailboxes=["427", "Bot"], legacy_prefix="x_")

        assert found["427"] == "x_427@dev.agents.example"
        assert found["Bot"] == "x_bot@dev.agents.example"
        assert len(found) == 3

    def test_prefix_of_the_platform(self) -> None:
        assert addresses([], DOMAIN, single_mailboxes=["427"]) == {"427": "agent_427@dev.agents.example"}

    def test_every_problem_is_told(self) -> None:
        agents = population(*crowd(range(1)))

        with pytest.raises(AddressError) as caught:
            addresses([agents], DOMAIN, single_mailboxes=["AGENT-00000", "a b", "", "1", "1"])

        assert [problem.agent for problem in caught.value.problems] == ["AGENT-00000", "a b", "", "1"]
        assert "has one already" in str(caught.value)
        assert "is not made of a-z" in str(caught.value)
        assert "id is empty" in str(caught.value)


class TestBumpedAgents:
    def test_only_those_whom_a_pin_would_hold(self) -> None:
        agents = crowd(range(200))
        unpinned = without_first_choice([population(*agents)])
        before = addresses([population(*agents)], DOMAIN)

        pinned = population(*(agent.model_copy(update={"local_part": unpinned.get(agent.id)}) for agent in agents))

        assert unpinned
        assert without_first_choice([pinned]) == {}
        assert addresses([pinned], DOMAIN) == before


class TestPopulationMadeByHand:
    def test_it_must_be_complete(self) -> None:
        with pytest.raises(ValidationError, match="has no seed"):
            Population(agents=(Agent(id="a", name="Maria Nunez"),), created_at=SECOND)
        with pytest.raises(ValidationError, match="has no created_at"):
            Population(agents=(Agent(id="a", name="Maria Nunez"),), seed="s")
        with pytest.raises(ValidationError, match="agent a: its id is also that of an agent before it"):
            population(Agent(id="A", name="Maria Nunez"), Agent(id="a", name="Maria Nunez"))

    def test_pinned_agents_need_nothing(self) -> None:
        assert Population(agents=(Agent(id="a", local_part="bot"),)).seed is None


class TestTheCauseFirst:
    """A hundred agents in two populations by one mistake are one sentence."""

    def population(self, path: Path, *numbers: int) -> Population:
        agents = [Agent(id=f"a{number}", name="Ada Low") for number in numbers]
        path.touch()
        return Population(agents=tuple(agents), seed="s", created_at="20241005123045", path=str(path))

    def said(self, *populations: Population) -> list[str]:
        with pytest.raises(AddressError) as caught:
            addresses(populations, "x.example")
        return [str(problem) for problem in caught.value.problems]

    def test_one_file_twice(self, tmp_path: Path) -> None:
        one = self.population(tmp_path / "p.yaml", *range(100))
        link = tmp_path / "link.yaml"
        link.symlink_to(tmp_path / "p.yaml")
        assert self.said(one, self.population(link, *range(100))) == [
            f"{link}: is listed twice under `populations`, as {one.path} too; list it once"
        ]
        assert len(self.said(one, one.model_copy())) == 1

    def test_a_copy(self, tmp_path: Path) -> None:
        one, two = self.population(tmp_path / "1", *range(100)), self.population(tmp_path / "2", *range(50))
        [sentence] = self.said(one, two)
        assert (
            sentence
            == f"{two.path}: has nobody who is not in {one.path} too (a0, a1, a2 and 47 more); list one of the two files"
        )

    def test_many_and_few(self, tmp_path: Path) -> None:
        one, two = self.population(tmp_path / "1", *range(10)), self.population(tmp_path / "2", *range(6, 20))
        assert self.said(one, two) == [
            f"{two.path}: shares 4 agents with {one.path} (a6, a7, a8 and 1 more); an agent belongs to one population"
        ]
        three = self.population(tmp_path / "3", 8, 9, 30)
        assert self.said(one, three) == [
            f"{three.path}: agent {agent}: is also in {one.path}; an agent belongs to one population"
            for agent in ("a8", "a9")
        ]
