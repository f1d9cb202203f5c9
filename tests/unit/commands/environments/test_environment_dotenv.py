"""Reading a `.env` as docker compose does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.environments.dotenv import read_dotenv
from commands.environments.errors import DotenvError


def read(tmp_path, text):
    path = tmp_path / ".env"
    path.write_text(text)
    return read_dotenv(path).values


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("  export A = b ", "b"),
        ("A=b c", "b c"),
        ("A=b # comment", "b"),
        ("A=b#c", "b#c"),
        ("A='b # c'", "b # c"),
        ("A='b' # comment", "b"),
        ('A="b \\"c\\" \\\\ d"', 'b "c" \\ d'),
        ("A=$b", "$b"),
        ("A=b=c", "b=c"),
    ],
)
def test_values(tmp_path, line, value):
    assert read(tmp_path, line) == {"A": value}


@pytest.mark.parametrize("text", ["", "# A=b", "A=", "A= # nothing", "A=''", "A=b\nA="])
def test_what_is_no_value(tmp_path, text):
    assert read(tmp_path, text) == {}


def test_the_last_assignment_counts(tmp_path):
    assert read(tmp_path, "A=1\nA=2\n") == {"A": "2"}


@pytest.mark.parametrize("text", ["A", "1A=b", "A B=c", "A='b", 'A="b', "A='b'c", "=b"])
def test_what_is_no_assignment(tmp_path, text):
    with pytest.raises(DotenvError, match="line 2 is no assignment"):
        read(tmp_path, f"X=y\n{text}\n")


def test_no_value_in_the_error(tmp_path):
    with pytest.raises(DotenvError) as caught:
        read(tmp_path, "SECRET='hunter2\n")
    assert "hunter2" not in str(caught.value)


def test_no_file(tmp_path):
    with pytest.raises(DotenvError, match="cannot be read"):
        read_dotenv(tmp_path / "none")


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z0-9_]{0,10}", fullmatch=True), st.text("abc #'=$\\é", min_size=1)))
def test_quoted_values_come_back(tmp_path_factory, values):
    path = tmp_path_factory.mktemp("env") / ".env"
    escaped = {name: value.replace("\\", "\\\\").replace('"', '\\"') for name, value in values.items()}
    path.write_text("".join(f'{name}="{value}"\n' for name, value in escaped.items()))
    assert read_dotenv(path).values == values
