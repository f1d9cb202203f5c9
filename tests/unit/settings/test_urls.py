"""URLs, paths, hosts and keys of the configuration: what one door takes, every later one takes too."""

from __future__ import annotations

from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azmail.dotenv import render_env
from clients.mailjet.route_identity import RouteIdentity, require_route_url
from components.agent_mailboxes import Addressed
from components.stack_outputs import platform_environment
from settings.loading import SettingsError, from_config
from settings.urls import checked_url, path_fault
from tests.unit.settings.test_settings import GOOD, load, problems

URL_FAULTS = {
    "https://api.${ZONE}/in": "has a '$', which nobody replaces here",
    "https://api agents.example/in": "has a host that is no domain name",
    "https://api.agents.example:99999/in": "has a port that is none of 1 to 65535",
    "https://api.agents.example:0/in": "has a port that is none of 1 to 65535",
    "https://api.agents.example:/in": "has a port that is none of 1 to 65535",
    "https://api.agents.example:http/in": "has a host or a port that is none",
    "https://api.agents.example/in#frag": "has a fragment",
    "https://api.agents.example/in?tenant=7": "has a query",
    "https://api.agents.example/in?": "has a query",
    "https://user:pw@api.agents.example/in": "has a user name or password in it",
    "https://@api.agents.example/in": "has a user name or password in it",
    "https://evil.example\\@api.agents.example/in": "has a path that does not begin with '/'",
    "https://api..agents.example/in": "has a host that is no domain name",
    "https://-api.agents.example/in": "has a host that is no domain name",
    "https://api.agents.example-/in": "has a host that is no domain name",
    "https://1.2.3.4.5/in": "has a host of digits that is no IPv4 address",
    "https://256.1.1.1/in": "has a host of digits that is no IPv4 address",
    "https://[::1/in": "has a host or a port that is none",
    "https://[fe80::zz]/in": "has a host or a port that is none",
    "https:///in": "has no host",
    "https:/in": "is no URL",
    "//evil.example/in": "is no URL",
    "api.agents.example/in": "is no URL",
    "ftp://api.agents.example/in": "is no URL",
    "https://api.agents.example//in": "has a path that begins with '//'",
    "https://api.agents.example/in\n": "has a path that has a blank, a line end or a control character",
    "https://api.agents.example/wébhook": "has a path that has a character beyond ASCII",
    "https://api.agents.example/a%zz": "has a path that has a '%' that is not followed by two hexadecimal digits",
    "https://api.agents.example/../in": "has a path that has a segment '.' or '..'",
    "https://api.agents.example/in;x": "has a path that has a character that no path may have",
}


@pytest.mark.parametrize("url", URL_FAULTS)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"has|is no") as caught:
        checked_url(url)
    assert str(caught.value).startswith(URL_FAULTS[url])
    found = problems(webhookUrl=url)
    assert any("agentmail:webhookUrl is" in sentence and URL_FAULTS[url] in sentence for sentence in found), found
    assert not any("pw@" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("https://api.agents.example/in", "https://api.agents.example/in"),
        ("HTTPS://API.Agents.Example:8443/In/", "https://api.agents.example:8443/In/"),
        ("https://bücher.example/in", "https://xn--bcher-kva.example/in"),
        ("https://192.0.2.1/a%20b/c.d:e,f+g=h-i", "https://192.0.2.1/a%20b/c.d:e,f+g=h-i"),
        ("http://api:8000", "http://api:8000"),
        ("http://my_api:08000/", "http://my_api:8000/"),
        ("http://[::1]:8000/x", "http://[::1]:8000/x"),
    ],
)
def test_a_url(url: str, read: str) -> None:
    assert checked_url(url) == read
    assert checked_url(read) == read


@pytest.mark.parametrize(
    "path",
    ["//evil.example/x", "/\\evil.example", "/wébhook", "/a%20b/%zz", "/a b", "/a\tb", "in", "", "/", "/a?b", "/a#b",
     "/./a", "/a/..", "/a%", "/a%2", "/${X}", "/a@b", "/a\n", "https://evil.example/x", "/~a"],
)  # fmt: skip
def test_what_is_no_path(path: str) -> None:
    assert path_fault(path)
    if path:  # an empty value is the default
        for key in ("eventsPath", "webhookPath"):
            assert any(f"agentmail:{key} is" in sentence for sentence in problems(**{key: path})), path


@pytest.mark.parametrize("path", ["/in", "/api/webhooks/mailjet", "/a%20b/c", "/a//b", "/a/", "/v1.0:x,y+z=1-2_3"])
def test_a_path(path: str) -> None:
    assert path_fault(path) == ""


@given(st.text(st.sampled_from("ab/.:%2F#?@$\\ \n~[]"), max_size=12).map("/{}".format))
def test_a_path_that_is_taken_stays_on_the_webhook_s_host(path: str) -> None:
    if not path_fault(path):
        assert urlsplit(urljoin("https://api.agents.example/in", path)) == ("https", "api.agents.example", path, "", "")


class TestPlainHttp:
    """Passwords travel there."""

    @pytest.mark.parametrize("key", ["webhookUrl", "mailjetApiUrl"])
    def test_https_elsewhere(self, key: str) -> None:
        [sentence] = problems(**{key: "http://api.agents.example/in"})
        assert "expected https, since passwords travel there; write https://api.agents.example/in" in sentence

    def test_what_is_on_this_machine_is_for_what_is_on_this_machine(self) -> None:
        [sentence] = problems(webhookUrl="http://localhost:8000/in", mailjetApiUrl=None)
        assert (
            "agentmail:webhookUrl is 'http://localhost:8000/in', on this machine; expected one that Mailjet can"
            in sentence
        )
        assert load(webhookUrl="http://localhost:8000/in", mailjetApiUrl="http://127.0.0.1:8810")

    def test_the_platform_beside_its_tunnel_may_speak_http(self) -> None:
        assert load(tunnelService="http://api:8000").tunnel_service == "http://api:8000"


class TestKeys:
    @pytest.mark.parametrize("key", ["mailjetApiKey", "mailjetApiSecret", "platformCloudflareToken"])
    def test_blanks_around_a_key_are_no_part_of_it(self, key: str) -> None:
        """As it is piped in from a file."""
        changes: dict[str, Any] = {key: " 0123abcd\r\n"}
        found = load(**changes)
        assert found.model_dump(by_alias=True)[key] == "0123abcd"

    @pytest.mark.parametrize("value", ["q w", "a\nb", "a:b", "a'b", "a$b", "schlüssel", "${KEY}", "a\x00b"])
    @pytest.mark.parametrize("key", ["mailjetApiKey", "mailjetApiSecret"])
    def test_blanks_inside_are_refused_and_nothing_is_repeated(self, key: str, value: str) -> None:
        [sentence] = problems(**{key: value})
        assert sentence.startswith(f"agentmail:{key} has {len(value)} characters, some of them no part of any key")
        assert value not in sentence

    def test_the_cloudflare_token_likewise(self) -> None:
        for token in ("t oken", "token\n"):
            [sentence] = problems(token=token)
            assert sentence.startswith("cloudflare:apiToken has 6 characters, some of them no part of any key")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"platformDefaultSeed": "two words"}, "agentmail:platformDefaultSeed is 'two words'; expected letters"),
        ({"mailjetSmtpHost": "smtp host"}, "agentmail:mailjetSmtpHost is 'smtp host'; expected a host name"),
        ({"mailjetSmtpHost": "$HOST"}, "agentmail:mailjetSmtpHost is '$HOST'; expected a host name"),
        ({"mailjetSpfInclude": "include:%{i}.x.example"}, "expected an include such as 'include:spf.mailjet.com'"),
        ({"mailjetSpfInclude": "spf.mailjet.com"}, "expected an include such as 'include:spf.mailjet.com'"),
        ({"populations": '[{"file": "p", "createdAt": "yesterday"}]'}, "populations[0].createdAt is 'yesterday'"),
    ],
)
def test_what_the_platform_could_not_be_told_is_refused_where_it_enters(changes: dict[str, str], expected: str) -> None:
    assert any(expected in sentence for sentence in problems(**changes)), problems(**changes)


TEXTS = st.text(st.sampled_from("aZ09_./:@,+=%-~$'\"\\ \n#?&;{}[]é"), max_size=16)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "webhookUrl": TEXTS.map("https://api.agents.example/{}".format) | TEXTS.map("https://{}/in".format),
            "webhookPath": TEXTS.map("/{}".format),
            "eventsPath": TEXTS.map("/{}".format),
            "tunnelService": TEXTS.map("http://{}".format),
            "mailjetApiUrl": TEXTS.map("https://{}".format),
            "mailjetSmtpHost": TEXTS,
            "mailjetSpfInclude": TEXTS.map("include:{}".format),
            "mailjetApiKey": TEXTS,
            "mailjetApiSecret": TEXTS,
            "platformDefaultSeed": TEXTS,
            "platformCloudflareToken": TEXTS,
            "agentMailPrefix": TEXTS,
        },
    )
)
def test_what_settings_take_mailjet_and_the_platform_s_env_take_too(changes: dict[str, str]) -> None:
    try:
        found = from_config({**GOOD, "webhookSecret": "w" * 32, **changes}, stack="dev", preview=True)
    except SettingsError as error:
        assert error.problems  # noqa: PT017 - a refusal is one of the two right ends
        return
    nobody = Addressed(addresses={}, ahead={}, policies={})
    render_env(platform_environment(found, nobody, tunnel_token="eyJ", tunnel_target="x.cfargotunnel.com"))
    identity = require_route_url(found.route_url)
    assert identity == RouteIdentity.of(found.route_identity)
    events = RouteIdentity.of(found.events_url)
    assert events is not None
    assert events.host == identity.host
