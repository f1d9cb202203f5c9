from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.arguments import command_of, names_directory
from engine.environment import EMULATOR_CREDENTIALS, cli_environment, emulator_credentials
from engine.layout import Layout, layout
from engine.passphrase import LOOPBACK_PASSPHRASE
from tests.unit.engine.machines import ROOT, Machine

CREDENTIALS = (
    "MAILJET_API_KEY=key\nexport MAILJET_API_SECRET='sec=ret'\n# note\nLD_PRELOAD=/evil\nCLOUDFLARE_API_TOKEN=\"tok\"\n"
)


def with_credentials(here: Layout) -> None:
    here.credentials.parent.mkdir(parents=True)
    here.credentials.write_text(CREDENTIALS)


UP = ["up", "--stack", "dev"]


def logged_in(here: Layout, url: str) -> None:
    here.home.mkdir(parents=True)
    (here.home / "credentials.json").write_text(json.dumps({"current": url}))


def test_embedded_default(bare: Machine) -> None:
    with_credentials(bare.layout)
    made = cli_environment(bare.layout, {"PATH": "/usr/bin:/bin"}, UP)
    assert made.embedded
    assert made.variables == {
        "PATH": f"{bare.layout.venv}/bin:/usr/bin:/bin",
        "PULUMI_HOME": str(bare.layout.home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AGENTMAIL_ENGINE_ROOT": str(bare.layout.root),
        "AGENTMAIL_STACK": "dev",
        "PULUMI_BACKEND_URL": bare.layout.backend_url,
        "PULUMI_CONFIG_PASSPHRASE": LOOPBACK_PASSPHRASE,
        "MAILJET_API_KEY": "key",
        "MAILJET_API_SECRET": "sec=ret",
        "CLOUDFLARE_API_TOKEN": "tok",
    }


def test_a_backend_of_the_users_own_gets_neither_passphrase_nor_emulator_credentials(bare: Machine) -> None:
    with_credentials(bare.layout)
    made = cli_environment(bare.layout, {"PULUMI_BACKEND_URL": "s3://states"}, ["up"])
    assert not made.embedded
    assert made.variables["PULUMI_BACKEND_URL"] == "s3://states"
    assert not {"PULUMI_CONFIG_PASSPHRASE", *EMULATOR_CREDENTIALS} & set(made.variables)


def test_a_login_names_the_backend(bare: Machine) -> None:
    logged_in(bare.layout, "https://api.pulumi.com")
    made = cli_environment(bare.layout, {}, ["up"])
    assert not made.embedded
    assert "PULUMI_BACKEND_URL" not in made.variables


@pytest.mark.parametrize("arguments", [["login", "s3://states"], ["-C", "login", "logout"], ["--color=never", "login"]])
def test_login_and_logout_choose_for_themselves(bare: Machine, arguments: list[str]) -> None:
    assert "PULUMI_BACKEND_URL" not in cli_environment(bare.layout, {}, arguments).variables


def test_the_embedded_backend_named_by_hand_or_by_login_is_still_embedded(bare: Machine) -> None:
    url = bare.layout.backend_url
    assert cli_environment(bare.layout, {"PULUMI_BACKEND_URL": url}, []).embedded
    logged_in(bare.layout, url)
    assert cli_environment(bare.layout, {}, []).embedded


@pytest.mark.parametrize("name", ["PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"])
def test_a_passphrase_of_the_users_own_wins(bare: Machine, name: str) -> None:
    made = cli_environment(bare.layout, {name: "mine"}, UP)
    assert made.variables[name] == "mine"
    assert LOOPBACK_PASSPHRASE not in made.variables.values()


@given(
    st.dictionaries(
        st.sampled_from([*EMULATOR_CREDENTIALS, "PULUMI_CONFIG_PASSPHRASE", "PULUMI_SKIP_UPDATE_CHECK", "LANG"]),
        st.text(),
    )
)
def test_what_the_user_sets_wins(chosen: dict[str, str]) -> None:
    here = layout({"AGENTMAIL_STATE_DIR": "/nonexistent"})
    made = cli_environment(here, chosen, UP).variables
    assert {name: made[name] for name in chosen} == chosen


def test_the_virtualenv_comes_first_on_path_once(bare: Machine) -> None:
    venv = f"{bare.layout.venv}/bin"
    made = cli_environment(bare.layout, {"PATH": f"/bin:{venv}:/usr/bin"}, [])
    assert made.variables["PATH"] == f"{venv}:/bin:/usr/bin"


def test_without_a_credentials_file_there_are_none(tmp_path: Path) -> None:
    assert emulator_credentials(tmp_path / "credentials.env") == {}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["-C", "x", "up"], True),
        (["-Cx", "up"], True),
        (["up", "--cwd=x"], True),
        (["up", "--cwd", "x"], True),
        (["up", "--config", "a=b"], False),
        (["config", "set", "key", "--", "--cwd"], False),
        ([], False),
    ],
)
def test_whether_the_arguments_name_the_projects_folder(arguments: list[str], named: bool) -> None:
    assert names_directory(arguments) is named


@pytest.mark.parametrize(
    ("arguments", "command"),
    [(["up"], "up"), (["--cwd", "login", "up"], "up"), (["-C=x", "login"], "login"), (["--help"], None), ([], None)],
)
def test_the_command_among_the_arguments(arguments: list[str], command: str | None) -> None:
    assert command_of(arguments) == command


def test_layout_of_this_clone() -> None:
    here = layout({"HOME": "/home/someone", "XDG_CACHE_HOME": "/cache"})
    assert (here.root, here.state, here.home) == (ROOT, ROOT / ".state", ROOT / ".state" / "pulumi-home")
    assert here.cache == Path("/cache/azmail")
    assert here.private_home


def test_layout_elsewhere() -> None:
    here = layout({"AGENTMAIL_STATE_DIR": "/elsewhere", "PULUMI_HOME": "/theirs"})
    assert (here.state, here.home, here.private_home) == (Path("/elsewhere"), Path("/theirs"), False)
    assert here.backend_url == "file:///elsewhere/backend?metadata=skip"
