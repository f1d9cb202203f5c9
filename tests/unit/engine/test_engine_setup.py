"""Which plugins the CLI gets, on machines that have some of the official ones and on those that have none."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest

from engine.cli import Cli, find_cli
from engine.cloudflare_plugin import RETRY_SECONDS, Source
from engine.errors import CloudflarePluginError, EngineError, ForcedChoiceError, PluginInstallError
from engine.plugins import DYNAMIC_HOST, LANGUAGE_HOST, Installer, Plugin
from engine.setup import OWN, ensure_engine
from tests.unit.engine.machines import PULUMI, Machine, machine

WANTED = version("pulumi_cloudflare")
CHOICE = "AGENTMAIL_CLOUDFLARE_PLUGIN"
STAND_IN = {CHOICE: "stand-in"}


@pytest.fixture
def alone(bare: Machine) -> Machine:
    """A machine whose CLI came without plugins and cannot download any."""
    bare.program("pulumi", PULUMI)
    return bare


def cloudflare(home: Path) -> Path:
    return home / "plugins" / f"resource-cloudflare-v{WANTED}"


def installs(machine: Machine) -> list[str]:
    return [call.split(" --")[0] for call in machine.calls() if call.startswith("plugin install")]


def put_official(directory: Path) -> Path:
    directory.mkdir(parents=True)
    file = directory / "pulumi-resource-cloudflare"
    file.write_text("official")
    return file


class TestLogs:
    """The engine's own log of every run: encrypted, on by default, without a switch."""

    def test_there_is_no_folder_for_it_in_a_home_of_ours(self, alone: Machine) -> None:
        logs = alone.layout.home / "logs"
        logs.mkdir(parents=True)
        (logs / "dev-20261126T120048.log").write_bytes(b"PLOG")
        ensure_engine(alone.layout, alone.environment)
        assert "Decision record 104" in logs.read_text()

    def test_a_home_of_the_user_s_own_is_left_alone(self, alone: Machine) -> None:
        logs = alone.layout.home / "logs"
        logs.mkdir(parents=True)
        ensure_engine(replace(alone.layout, private_home=False), {**alone.environment, **STAND_IN})
        assert logs.is_dir()


class TestHosts:
    def test_missing_hosts_are_installed_as_ordinary_plugins(self, alone: Machine) -> None:
        engine = ensure_engine(alone.layout, alone.environment)
        assert (engine.language_host, engine.dynamic_host) == (OWN, OWN)
        for plugin in (LANGUAGE_HOST, DYNAMIC_HOST):
            assert (plugin.directory(alone.layout.home) / plugin.executable).stat().st_mode & 0o100

    def test_official_hosts_beside_the_cli_are_used(self, alone: Machine) -> None:
        for plugin in (LANGUAGE_HOST, DYNAMIC_HOST):
            alone.program(plugin.executable, "#!/bin/sh\n")
        engine = ensure_engine(alone.layout, {**alone.environment, **STAND_IN})
        assert engine.language_host == str(alone.bin / "pulumi-language-python")
        assert engine.dynamic_host == str(alone.bin / "pulumi-resource-pulumi-python")
        assert installs(alone) == [f"plugin install resource cloudflare v{WANTED}"]

    def test_beside_means_beside_the_file_that_a_link_leads_to(self, bare: Machine) -> None:
        cellar = bare.folder / "cellar"
        bare.program("pulumi", PULUMI, cellar)
        bare.program(LANGUAGE_HOST.executable, "#!/bin/sh\n", cellar)
        (bare.bin / "pulumi").symlink_to(cellar / "pulumi")
        engine = ensure_engine(bare.layout, bare.environment)
        assert engine.language_host == str(cellar / LANGUAGE_HOST.executable)
        assert engine.dynamic_host == OWN

    def test_a_host_elsewhere_on_path_is_used(self, alone: Machine) -> None:
        elsewhere = alone.program(LANGUAGE_HOST.executable, "#!/bin/sh\n", alone.folder / "elsewhere")
        environment = {**alone.environment, "PATH": f"{alone.bin}:{elsewhere.parent}:/usr/bin:/bin"}
        assert ensure_engine(alone.layout, environment).language_host == str(elsewhere)

    def test_a_script_leads_to_the_clone_that_started_the_cli(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        script = LANGUAGE_HOST.directory(alone.layout.home) / LANGUAGE_HOST.executable
        said = '#!/bin/sh\necho "$0 $*"\n'
        for clone in (alone.layout.root, alone.folder / "other clone"):
            alone.program("python", said, clone / ".venv" / "bin")

        def started(**environment: str) -> str:
            return subprocess.run([script, "127.0.0.1:1"], env=environment, capture_output=True, text=True).stdout

        for root, environment in (
            (alone.layout.root, {}),
            (alone.folder / "other clone", {"AGENTMAIL_ENGINE_ROOT": str(alone.folder / "other clone")}),
        ):
            python, main = f"{root}/.venv/bin/python", f"{root}/engine/__main__.py"
            assert started(**environment) == f"{python} -u {main} plugin python 127.0.0.1:1\n"


class TestQuickness:
    def test_nothing_is_done_twice(self, alone: Machine) -> None:
        first = ensure_engine(alone.layout, alone.environment)
        calls = alone.calls()
        assert ensure_engine(alone.layout, alone.environment) == first
        assert alone.calls() == calls

    def test_looking_again_installs_nothing_again_but_tries_the_download(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        before = installs(alone)
        found = ensure_engine(alone.layout, alone.environment, look_again=True).cloudflare
        assert "no such host" in found.because
        assert installs(alone)[len(before) :] == [f"plugin install resource cloudflare v{WANTED}"]

    def test_a_failed_download_is_remembered_for_a_while(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        calls = alone.calls()
        other_path = {**alone.environment, "PATH": f"{alone.environment['PATH']}:/sbin"}
        assert "before" in ensure_engine(alone.layout, other_path).cloudflare.because
        assert alone.calls() == calls

    def test_a_failed_download_does_not_stick(self, alone: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.STAND_IN
        (alone.bin / "DOWNLOADABLE").touch()
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.STAND_IN
        later = time.time() + RETRY_SECONDS + 1
        monkeypatch.setattr(time, "time", lambda: later)
        assert ensure_engine(alone.layout, alone.environment).cloudflare.because == "it could be downloaded"

    def test_a_stack_that_leaves_this_machine_does_not_wait(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        (alone.bin / "DOWNLOADABLE").touch()
        found = ensure_engine(alone.layout, alone.environment, on_loopback=False).cloudflare
        assert found.because == "it could be downloaded"

    def test_setup_does_not_wait_either(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        (alone.bin / "DOWNLOADABLE").touch()
        assert ensure_engine(alone.layout, alone.environment, look_again=True).cloudflare.source is Source.OFFICIAL

    def test_a_clock_that_was_ahead_does_not_keep_it_from_trying(
        self, alone: Machine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = time.time()
        with monkeypatch.context() as ahead:
            ahead.setattr(time, "time", lambda: now + 365 * 86400)
            ensure_engine(alone.layout, alone.environment)
        (alone.bin / "DOWNLOADABLE").touch()
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.OFFICIAL

    def test_a_plugin_that_was_removed_comes_back(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        (LANGUAGE_HOST.directory(alone.layout.home) / LANGUAGE_HOST.executable).unlink()
        LANGUAGE_HOST.directory(alone.layout.home).rmdir()
        ensure_engine(alone.layout, alone.environment)
        assert LANGUAGE_HOST.directory(alone.layout.home).is_dir()

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"fingerprint": 1}'])
    def test_a_damaged_record_is_forgotten(self, alone: Machine, text: str) -> None:
        first = ensure_engine(alone.layout, alone.environment)
        (alone.layout.home / "agentmail-engine.json").write_text(text)
        assert ensure_engine(alone.layout, alone.environment).language_host == first.language_host


class TestCloudflare:
    def test_one_in_pulumi_home(self, alone: Machine) -> None:
        file = put_official(cloudflare(alone.layout.home))
        found = ensure_engine(alone.layout, alone.environment).cloudflare
        assert (found.version, found.source, found.because) == (
            WANTED,
            Source.OFFICIAL,
            "it is installed in PULUMI_HOME",
        )
        assert file.read_text() == "official"

    def test_one_in_the_users_own_home_is_linked(self, alone: Machine) -> None:
        users = put_official(cloudflare(alone.folder / "user" / ".pulumi"))
        found = ensure_engine(alone.layout, alone.environment).cloudflare
        assert found.source is Source.OFFICIAL
        directory = cloudflare(alone.layout.home)
        # The engine looks at real directories only.
        assert not directory.is_symlink()
        assert (directory / users.name).resolve() == users
        assert f"plugin install resource cloudflare v{WANTED}" not in installs(alone)

    def test_one_that_is_half_installed_does_not_count(self, alone: Machine) -> None:
        users = cloudflare(alone.folder / "user" / ".pulumi")
        put_official(users)
        users.with_name(f"{users.name}.partial").touch()
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.STAND_IN

    def test_another_version_does_not_count(self, alone: Machine) -> None:
        put_official(alone.folder / "user" / ".pulumi" / "plugins" / "resource-cloudflare-v6.0.0")
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.STAND_IN

    def test_one_that_can_be_downloaded(self, alone: Machine) -> None:
        (alone.bin / "DOWNLOADABLE").touch()
        found = ensure_engine(alone.layout, alone.environment).cloudflare
        assert (found.source, found.because) == (Source.OFFICIAL, "it could be downloaded")

    def test_no_internet_gives_the_stand_in(self, alone: Machine) -> None:
        found = ensure_engine(alone.layout, alone.environment).cloudflare
        assert found.source is Source.STAND_IN
        assert "no such host" in found.because
        assert (cloudflare(alone.layout.home) / "stand-in.txt").is_file()

    def test_the_stand_in_gives_way_when_the_user_installs_the_official_one(self, alone: Machine) -> None:
        ensure_engine(alone.layout, alone.environment)
        put_official(cloudflare(alone.folder / "user" / ".pulumi"))
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.OFFICIAL
        assert not (cloudflare(alone.layout.home) / "stand-in.txt").exists()

    def test_the_stand_in_gives_way_where_its_note_says_how(self, alone: Machine) -> None:
        """`pulumi plugin install resource cloudflare --reinstall` puts the official one into its place."""
        ensure_engine(alone.layout, alone.environment)
        shutil.rmtree(cloudflare(alone.layout.home))
        put_official(cloudflare(alone.layout.home))
        found = ensure_engine(alone.layout, alone.environment).cloudflare
        assert (found.source, found.because) == (Source.OFFICIAL, "it is installed in PULUMI_HOME")

    def test_the_stand_in_by_choice_and_back(self, alone: Machine) -> None:
        put_official(cloudflare(alone.folder / "user" / ".pulumi"))
        chosen = ensure_engine(alone.layout, {**alone.environment, **STAND_IN}).cloudflare
        assert (chosen.source, chosen.because) == (Source.STAND_IN, f"{CHOICE} says so")
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.OFFICIAL

    def test_after_the_stand_in_by_choice_the_download_is_still_tried(self, alone: Machine) -> None:
        (alone.bin / "DOWNLOADABLE").touch()
        ensure_engine(alone.layout, {**alone.environment, **STAND_IN})
        assert ensure_engine(alone.layout, alone.environment).cloudflare.because == "it could be downloaded"

    def test_a_link_whose_end_was_removed_is_noticed(self, alone: Machine) -> None:
        users = put_official(cloudflare(alone.folder / "user" / ".pulumi"))
        ensure_engine(alone.layout, alone.environment)
        users.unlink()
        assert ensure_engine(alone.layout, alone.environment).cloudflare.source is Source.STAND_IN

    def test_the_official_one_by_choice_or_not_at_all(self, alone: Machine) -> None:
        environment = {**alone.environment, CHOICE: "official"}
        with pytest.raises(CloudflarePluginError, match=rf"v{WANTED}: .*no such host.* forbids the stand-in"):
            ensure_engine(alone.layout, environment)
        (alone.bin / "DOWNLOADABLE").touch()
        assert ensure_engine(alone.layout, environment).cloudflare.source is Source.OFFICIAL

    def test_a_choice_that_does_not_exist(self, alone: Machine) -> None:
        with pytest.raises(ForcedChoiceError, match=f"{CHOICE} is 'none': set it to 'official' or 'stand-in'"):
            ensure_engine(alone.layout, {**alone.environment, CHOICE: "none"})

    def test_a_home_of_the_users_own_gets_the_stand_in_only_when_asked_for(self, tmp_path: Path) -> None:
        theirs = machine(tmp_path, private_home=False)
        theirs.program("pulumi", PULUMI)
        with pytest.raises(CloudflarePluginError, match=f"set {CHOICE}=stand-in .* or unset PULUMI_HOME"):
            ensure_engine(theirs.layout, theirs.environment)
        assert not cloudflare(theirs.layout.home).exists()
        found = ensure_engine(theirs.layout, {**theirs.environment, **STAND_IN})
        assert found.cloudflare.source is Source.STAND_IN


class TestInstaller:
    def test_a_refusal_is_one_sentence(self, bare: Machine) -> None:
        broken = bare.program("pulumi", "#!/bin/sh\necho progress >&2; echo 'error: disk full' >&2; exit 1\n")
        with pytest.raises(PluginInstallError) as caught:
            self.installer(bare, broken).install_script(Plugin(kind="resource", name="x", version="1.0.0"))
        assert str(caught.value) == "the plugin x v1.0.0 (resource) could not be installed: error: disk full."

    def test_a_cli_that_hangs_is_given_up(self, bare: Machine) -> None:
        hanging = bare.program("pulumi", "#!/bin/sh\nexec sleep 600\n")
        with pytest.raises(EngineError, match="it took longer than"):
            self.installer(bare, hanging).run(Plugin(kind="resource", name="x", version="1.0.0"), [], 0.2)

    @staticmethod
    def installer(machine: Machine, cli: Path) -> Installer:
        machine.layout.home.mkdir(parents=True)
        found = find_cli(
            machine.layout, {"PATH": str(machine.program("pulumi", PULUMI, machine.folder / "any").parent)}
        )
        return Installer(machine.layout, Cli(cli, found.version, found.origin), machine.environment)
