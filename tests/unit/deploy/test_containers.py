"""How `python -m tests.containers` reads the Dockerfile and the compose file."""

from __future__ import annotations

from tests.containers import COMPOSE, DOCKERFILE, MIGRATE, SERVICES, Containers, FileSystem, instructions, interpolated


def test_a_dockerfile() -> None:
    found = instructions("# text\nFROM a:1\n\nRUN one \\\n  && two\nCOPY a b /c/\n")
    assert [(one.name, one.text.split()) for one in found] == [
        ("FROM", ["a:1"]),
        ("RUN", ["one", "&&", "two"]),
        ("COPY", ["a", "b", "/c/"]),
    ]


def test_no_instruction_of_ours_is_passed_over() -> None:
    known = {"FROM", "RUN", "COPY", "USER", "WORKDIR", "ENTRYPOINT", "CMD"}
    assert {one.name for one in instructions(DOCKERFILE.read_text())} == known


def test_variables() -> None:
    given = {"a": ["${X:-1}", "${Y}"], "b": {"c": "${Y:-}/${X:-http://h:1/p}"}}
    assert interpolated(given, {}) == {"a": ["1", ""], "b": {"c": "/http://h:1/p"}}
    assert interpolated(given, {"X": "x", "Y": "y"}) == {"a": ["x", "y"], "b": {"c": "y/x"}}


def test_each_of_our_services_runs_as_the_file_says() -> None:
    containers = Containers(FileSystem(COMPOSE.parent))
    for name in (*SERVICES, MIGRATE):
        words = containers.words(name, ["azmail"])
        assert "--reuid=1000" in words
        assert "--bounding-set=-all" in words
        assert "AZMAIL_GATEWAY_FILE=/run/azmail/gateway.json" in words
    built = {name for name, one in containers.services.items() if "build" in one}
    assert built == {*SERVICES, MIGRATE}
