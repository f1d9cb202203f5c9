"""No credential survives in a text, whichever form it takes."""

from __future__ import annotations

import base64
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.mailjet.errors import MailjetError
from clients.mailjet.redaction import SECRETS, Redactor

SECRET = "p4ss word/with+odd:chars"

secrets = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=40)


def _redactor(*known: str) -> Redactor:
    redactor = Redactor()
    redactor.learn(known)
    return redactor


@pytest.mark.parametrize("form", [SECRET, quote(SECRET), quote(SECRET, safe=""), quote_plus(SECRET)])
def test_plain_and_url_forms(form: str) -> None:
    assert _redactor(SECRET).clean(f"before {form} after") == "before [secret] after"


@given(secret=secrets, lead=st.text(max_size=7), tail=st.text(max_size=7))
def test_base64_at_any_alignment(secret: str, lead: str, tail: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        token = encode(f"{lead}{secret}{tail}".encode()).decode()
        cleaned = _redactor(secret).clean(f"Basic {token}")
        assert "[secret]" in cleaned
        assert token not in cleaned


@given(secret=secrets, around=st.text(max_size=20))
def test_a_secret_is_gone_whatever_stands_around_it(secret: str, around: str) -> None:
    cleaned = _redactor(secret).clean(f"{around}{secret}{around}")
    assert secret not in cleaned.replace("[secret]", "")


def test_a_basic_header_is_redacted_whole() -> None:
    token = base64.b64encode(b"apikey0123456789:s3cretvalue").decode()
    assert _redactor("s3cretvalue").clean(f"Authorization: Basic {token}") == "Authorization: Basic [secret]"


@pytest.mark.parametrize("password", ["x", "longerpassword", "a%2Fb"])
def test_the_password_of_any_url_without_having_learnt_it(password: str) -> None:
    cleaned = Redactor().clean(f"PUT https://owner:{password}@hooks.example/in failed")
    assert cleaned == "PUT https://owner:[secret]@hooks.example/in failed"


def test_text_without_a_secret_stays() -> None:
    text = "https://owner@hooks.example/in and ana.lopez.123.20250101120000@agents.example, dGhpcyBpcyBmaW5l"
    assert _redactor(SECRET).clean(text) == text


def test_empty_and_tiny_secrets_do_not_blot_out_sentences() -> None:
    assert _redactor("", "a", "ab").clean("a banana") == "a banana"


def test_every_error_is_redacted_when_it_is_built() -> None:
    SECRETS.learn([SECRET])
    assert SECRET not in str(MailjetError(f"found {SECRET}"))
    assert SECRET not in repr(MailjetError(f"found {SECRET}"))
