"""The plugin's process: how it starts, what it says of itself, and that it never outlives its engine."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from engine.cloudflare import VERSION
from engine.cloudflare.fields import Table, inputs_of
from engine.cloudflare.properties import to_struct
from engine.cloudflare.provider import FUNCTIONS, RESOURCES
from tests.unit.engine.cloudflare_driver import (
    DEADLINE_SECONDS,
    PLUGIN,
    RECORD,
    ROOT,
    TUNNEL,
    TUNNEL_CONFIG,
    Plugin,
    PluginProcess,
    RecordingEngine,
    RefusedError,
    plugin_version,
    running_plugin,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def process() -> Iterator[PluginProcess]:
    with running_plugin() as process:
        yield process


class TestStart:
    def test_the_first_line_is_the_port_alone(self, process: PluginProcess) -> None:
        assert process.first_line.strip().isdigit()
        assert process.first_line.endswith("\n")

    def test_flags_that_a_verbose_engine_adds_are_accepted(self) -> None:
        flags = ["--logtostderr", "-v=9", "--tracing", "tcp://127.0.0.1:1"]
        started = subprocess.Popen(
            [*PLUGIN, *flags, "127.0.0.1:1"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert started.stdout is not None
        assert started.stdout.readline().strip().isdigit()
        started.communicate(timeout=DEADLINE_SECONDS)

    def test_it_needs_no_client_and_no_sdk(self) -> None:
        program = (
            "import sys; from engine.protocol import without_the_sdk; without_the_sdk(); import engine.cloudflare.__main__;"
            "print(sorted({'cloudflare', 'httpx', 'pydantic', 'requests', 'pulumi.resource'} & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        assert done.stdout == "[]\n"

    def test_handshake_and_configure_agree(self, process: PluginProcess) -> None:
        shaken = process.stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address="127.0.0.1:1"))
        arguments = to_struct({"baseUrl": "http://127.0.0.1:1"})
        configured = process.stub.Configure(provider_pb2.ConfigureRequest(args=arguments))
        assert shaken.accept_secrets is configured.acceptSecrets is True
        assert configured.supportsPreview is True
        assert not shaken.accept_outputs
        assert not shaken.accept_resources

    @pytest.mark.parametrize("url", [None, "https://api.cloudflare.com/client/v4", "http://127.0.0.1@api.example.com"])
    def test_it_talks_to_nothing_but_loopback(self, process: PluginProcess, url: str | None) -> None:
        with pytest.raises(RefusedError, match=r"talks to emulators on loopback alone, not to http.*mail setup"):
            Plugin(process.stub).configure(baseUrl=url)

    def test_an_attached_engine_gets_the_messages(self, process: PluginProcess) -> None:
        engine = RecordingEngine()
        process.stub.Attach(plugin_pb2.PluginAttach(address=engine.address))
        config = {"ingresses": [{"service": "http_status:404"}]}
        inputs = {"accountId": "a", "tunnelId": "u", "config": config}
        Plugin(process.stub).create(TUNNEL_CONFIG, inputs, preview=True)
        engine.close()
        assert len(engine.messages) == 1

    @pytest.mark.parametrize("address", ["", "127.0.0.1:1"])
    def test_without_an_engine_messages_are_on_standard_error(self, address: str) -> None:
        process = PluginProcess(address)
        inputs = {"accountId": "a", "tunnelId": "u", "config": {"ingresses": [{"service": "http_status:404"}]}}
        Plugin(process.stub).create(TUNNEL_CONFIG, inputs, preview=True)
        assert process.close().startswith("warning: Cloudflare's API cannot delete a tunnel's configuration")

    def test_mappings_are_answered_with_none(self, process: PluginProcess) -> None:
        assert process.stub.GetMapping(provider_pb2.GetMappingRequest(key="terraform")).data == b""
        assert list(process.stub.GetMappings(provider_pb2.GetMappingsRequest(key="terraform")).providers) == []


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_signals_end_it(self, number: int) -> None:
        with running_plugin() as process:
            process.process.send_signal(number)
            assert process.ended() == 0

    def test_signals_that_come_at_once_end_it(self) -> None:
        """One may meet the handler of another, or whatever the process is just doing."""
        with running_plugin() as process:
            for number in (signal.SIGTERM, signal.SIGINT) * 50:
                process.process.send_signal(number)
            assert process.ended() == 0

    def test_cancel_leaves_it_to_the_engine_to_end_it(self) -> None:
        """It is interrupted once nothing is under way any more."""
        with running_plugin() as process:
            for _ in range(3):
                process.stub.Cancel(Empty(), timeout=DEADLINE_SECONDS)
            assert plugin_version(process.stub) == VERSION
            process.process.send_signal(signal.SIGINT)
            assert process.ended() == 0

    def test_it_ends_with_an_engine_that_closes_its_input(self) -> None:
        with running_plugin() as process:
            assert process.process.stdin is not None
            process.process.stdin.close()
            process.process.stdin = None
            assert process.ended() == 0

    def test_a_killed_engine_leaves_no_orphan(self) -> None:
        engine = textwrap.dedent(f"""
            import subprocess, sys
            plugin = subprocess.Popen({[*PLUGIN, "127.0.0.1:1"]},
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            plugin.stdout.readline()
            print(plugin.pid, flush=True)
            sys.stdin.read()
        """)
        started = subprocess.Popen(
            [sys.executable, "-c", engine], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert started.stdout is not None
        plugin = int(started.stdout.readline())
        watched = os.pidfd_open(plugin)
        started.kill()
        started.communicate(timeout=DEADLINE_SECONDS)
        assert _ends(watched)


def _ends(pidfd: int) -> bool:
    """Whether the process behind `pidfd` ends within the deadline."""
    import select

    try:
        readable, _, _ = select.select([pidfd], [], [], DEADLINE_SECONDS)
    finally:
        os.close(pidfd)
    return bool(readable)


class TestWhatItKnows:
    def test_its_version_is_the_sdks(self, process: PluginProcess) -> None:
        assert plugin_version(process.stub) == VERSION == importlib.metadata.version("pulumi_cloudflare")

    def test_another_resource_is_an_error_that_names_what_there_is(self, process: PluginProcess) -> None:
        with pytest.raises(RefusedError) as caught:
            Plugin(process.stub).check("cloudflare:index/zone:Zone", {})
        message = caught.value.message
        assert "no resource 'cloudflare:index/zone:Zone'" in message
        for token in (RECORD, TUNNEL, TUNNEL_CONFIG):
            assert token in message
        assert "the official plugin has the rest" in message
        assert "\n" not in message

    @pytest.mark.parametrize(
        ("old", "inputs"),
        [
            ("cloudflare:index/record:Record", {"zoneId": "z", "name": "a", "type": "A", "ttl": 1}),
            ("cloudflare:index/tunnel:Tunnel", {"accountId": "a", "name": "t"}),
            ("cloudflare:index/tunnelConfig:TunnelConfig", {"accountId": "a", "tunnelId": "u"}),
        ],
    )
    def test_older_tokens_of_the_resources_work(self, process: PluginProcess, old: str, inputs: dict[str, Any]) -> None:
        assert Plugin(process.stub).check(old, inputs) == []

    def test_using_it_before_configure_is_an_error(self) -> None:
        with running_plugin() as process, pytest.raises(RefusedError, match="before Pulumi configured it"):
            Plugin(process.stub).delete(RECORD, {"id": "r1", "zoneId": "z"})

    def test_many_calls_at_a_time_are_served(self, process: PluginProcess) -> None:
        plugin = Plugin(process.stub)
        inputs = {"zoneId": "z", "name": "a", "type": "A", "ttl": 1}
        found: list[Any] = []
        threads = [threading.Thread(target=lambda: found.append(plugin.check(RECORD, inputs))) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(DEADLINE_SECONDS)
        assert found == [[]] * 32


@pytest.fixture
def schema(process: PluginProcess) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(process.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    return found


class TestSchema:
    def test_it_has_the_resources_and_functions(self, schema: dict[str, Any]) -> None:
        assert schema["name"] == "cloudflare"
        assert schema["version"] == VERSION
        assert set(schema["resources"]) == {RECORD, TUNNEL, TUNNEL_CONFIG}
        assert set(schema["functions"]) == {function.name for function in FUNCTIONS}

    def test_every_type_it_refers_to_is_there(self, schema: dict[str, Any]) -> None:
        referred = {
            reference.removeprefix("#/types/") for reference in _references(schema) if reference.startswith("#/types/")
        }
        assert referred == set(schema["types"])

    def test_secrets_and_requirements_are_told(self, schema: dict[str, Any]) -> None:
        assert schema["resources"][TUNNEL]["properties"]["tunnelSecret"] == {"type": "string", "secret": True}
        assert sorted(schema["resources"][RECORD]["requiredInputs"]) == ["name", "ttl", "type", "zoneId"]
        assert schema["config"]["variables"]["apiToken"]["secret"] is True


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            else:
                yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


@functools.cache
def sdk_source(module: str) -> str:
    package = importlib.util.find_spec("pulumi_cloudflare")
    assert package is not None
    assert package.origin is not None
    return (Path(package.origin).parent / f"{module}.py").read_text(encoding="utf-8")


def sdk_names(module: str, of: str) -> set[str]:
    """The Pulumi names of a class in the SDK, read from its source: importing the SDK takes seconds."""
    source = sdk_source(module)
    start = max(source.find(f"\nclass {of}:"), source.find(f"\nclass {of}("))
    assert start >= 0
    end = source.find("\nclass ", start + 1)
    getter = r'@pulumi\.getter(?:\(name="(\w+)"\))?(?:.|\n)*?\bdef (\w+)'
    return {renamed or name for renamed, name in re.findall(getter, source[start:end])}


def names(table: Table) -> set[str]:
    return {field.name for field in table}


class TestNamesOfTheSdk:
    """Every property has the name that pulumi-cloudflare uses; what the stand-in leaves out is listed here."""

    modules = ("dns_record", "zero_trust_tunnel_cloudflared", "zero_trust_tunnel_cloudflared_config")
    classes = ("DnsRecord", "ZeroTrustTunnelCloudflared", "ZeroTrustTunnelCloudflaredConfig")

    @pytest.mark.parametrize("index", range(3))
    def test_resources(self, index: int) -> None:
        table, left_out = RESOURCES[index].table, {"includeShadowMetadata"} if index == 0 else set()
        assert names(table) == sdk_names(self.modules[index], f"_{self.classes[index]}State") - left_out
        assert names(inputs_of(table)) == sdk_names(self.modules[index], f"{self.classes[index]}Args") - left_out

    @pytest.mark.parametrize("index", range(4))
    def test_functions(self, index: int) -> None:
        module, result = (
            ("get_dns_records", "GetDnsRecordsResult"),
            ("get_zone", "GetZoneResult"),
            ("get_zero_trust_tunnel_cloudflareds", "GetZeroTrustTunnelCloudflaredsResult"),
            ("get_zero_trust_tunnel_cloudflared_token", "GetZeroTrustTunnelCloudflaredTokenResult"),
        )[index]
        function = FUNCTIONS[index]
        assert names(function.arguments) | names(function.results) == sdk_names(module, result)

    def test_members(self) -> None:
        record, tunnel, config = ({field.name: field.of for field in resource.table} for resource in RESOURCES)
        nested = {field.name: field.of for field in config["config"]}
        ingress = {field.name: field.of for field in nested["ingresses"]}
        origin = {field.name: field.of for field in ingress["originRequest"]}
        prefix = "ZeroTrustTunnelCloudflaredConfigConfig"
        listed, zone, tunnels = ({field.name: field.of for field in function.results} for function in FUNCTIONS[:3])
        listed_tunnel = {field.name: field.of for field in tunnels["results"]}
        for table, sdk in (
            (record["data"], "DnsRecordData"),
            (record["settings"], "DnsRecordSettings"),
            (tunnel["connections"], "ZeroTrustTunnelCloudflaredConnection"),
            (config["config"], prefix),
            (nested["ingresses"], f"{prefix}Ingress"),
            (nested["originRequest"], f"{prefix}OriginRequest"),
            (ingress["originRequest"], f"{prefix}IngressOriginRequest"),
            (origin["access"], f"{prefix}IngressOriginRequestAccess"),
            (listed["results"], "GetDnsRecordsResultResult"),
            (tunnels["results"], "GetZeroTrustTunnelCloudflaredsResultResult"),
            (listed_tunnel["connections"], "GetZeroTrustTunnelCloudflaredsResultConnectionResult"),
            *((zone[name], f"GetZone{name[0].upper()}{name[1:]}Result") for name in zone if zone[name]),
        ):
            assert names(table) == sdk_names("outputs", sdk), sdk
