"""Reading a `.env` as docker compose does, held to what its reader makes of the same texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.environments.dotenv import Dotenv, read_dotenv
from commands.environments.dotenv_text import DotenvSyntaxError, parse_dotenv
from commands.environments.errors import DotenvError

RECORDED: list[dict[str, Any]] = json.loads((Path(__file__).parents[3] / "fixtures" / "dotenv.json").read_text())[
    "cases"
]
ENVIRONMENT = {"FROM_ENV": "outside", "EMPTY_ENV": ""}


def read(tmp_path: Path, text: str) -> Dotenv:
    path = tmp_path / ".env"
    path.write_bytes(text.encode())
    return read_dotenv(path, ENVIRONMENT)


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: repr(case["text"]))
def test_as_compose_reads_it(case: dict[str, Any]) -> None:
    expected = case["values"]
    if expected is None or "" in expected:
        # A value without a name is a slip of the pen; compose keeps it under no name.
        try:
            found = parse_dotenv(case["text"], ENVIRONMENT).values
        except DotenvSyntaxError:
            return
        assert expected is not None
        assert found == {name: value for name, value in expected.items() if name}
        return
    assert parse_dotenv(case["text"], ENVIRONMENT).values == expected


def test_the_recorded_cases_are_many_and_of_both_kinds() -> None:
    assert len(RECORDED) > 100
    assert 10 < sum(case["values"] is None for case in RECORDED) < len(RECORDED) / 2


@pytest.mark.parametrize("text", ["", "# A=b", "A=", "A=''", "A=b\nA=", "1A=b", "NONE\n"])
def test_what_is_no_value(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text).values == {}


def test_where_each_stands(tmp_path: Path) -> None:
    found = read(tmp_path, "# who\nA='one\ntwo'\n\nB=3 # x\nA=4\n\r\nC: 5")
    assert found.values == {"A": "4", "B": "3", "C": "5"}
    assert found.lines == {"A": 6, "B": 5, "C": 8}


def test_a_variable_that_nobody_has_set_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, "Z=agents.example\nA=https://api.${ZONE}/in\nB=$Z$FROM_ENV${Q:-x}\nC='$ZONE'\n")
    assert found.unset == {"A": {"ZONE"}}
    assert read(tmp_path, "A=$ZONE\nA=b\n").unset == {}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("A B=c", "line 2 has a blank in a name"),
        ("A%=c", "line 2 has '%' in a name"),
        ("A='b\nc", "line 2 has a quote that does not end"),
        ("=b", "line 2 has a value without a name"),
        ("A=${", "line 2 has a '${' that does not become a variable"),
        ("A=${B:?hunter2}", "line 2 demands the variable B, which is not set"),
    ],
)
def test_what_is_no_assignment(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(DotenvError) as caught:
        read(tmp_path, f"X=y\n{text}\n")
    assert f".env {sentence};" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_value_in_the_error(tmp_path: Path) -> None:
    with pytest.raises(DotenvError) as caught:
        read(tmp_path, "SECRET='hunter2\n")
    assert "hunter2" not in str(caught.value)


def test_variables_within_variables_end(tmp_path: Path) -> None:
    with pytest.raises(DotenvError, match="too deep"):
        read(tmp_path, "A=" + "${N:-" * 500 + "x" + "}" * 500)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(DotenvError, match="cannot be read"):
        read_dotenv(tmp_path / "none", {})
    (tmp_path / "latin").write_bytes(b"A=\xe9")
    with pytest.raises(DotenvError, match="is not UTF-8"):
        read_dotenv(tmp_path / "latin", {})


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,10}", fullmatch=True), st.text("abc #'=$\\é\n", min_size=1)))
def test_quoted_values_come_back(values: dict[str, str]) -> None:
    escaped = {
        name: value.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$").replace("\n", "\\n")
        for name, value in values.items()
    }
    text = "".join(f'{name}="{value}"\n' for name, value in escaped.items())
    assert parse_dotenv(text, {}).values == values


@given(st.text(st.sampled_from("AB=:'\"\\$${}#-+? \t\r\n_.é")))
def test_any_text_is_read_or_refused_by_a_line(text: str) -> None:
    try:
        found = parse_dotenv(text, ENVIRONMENT)
    except DotenvSyntaxError as error:
        assert 1 <= error.line <= text.count("\n") + 1  # noqa: PT017 - one of the two right ends
        return
    assert found.values.keys() == found.lines.keys()
