import json
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.release import (
    SHORTEST_SECRET,
    Release,
    bare_digest,
    config_digest,
    full_sha,
    parse_dotenv,
    redact,
    spellings,
)
from cicd.errors import ConfigError, UsageError

IMAGE = "sha256:" + "a" * 64


def release(**changes: str) -> Release:
    values = {"sha": "1" * 40, "image": IMAGE, "config": "c", "schema": "0001", "manifest": "m", "version": "v1"}
    return Release(**{**values, **changes})


def test_the_label_is_not_part_of_the_identity() -> None:
    assert release(version="v1").id == release(version="v2").id


@pytest.mark.parametrize("part", ["sha", "image", "config", "schema", "manifest"])
def test_every_other_part_is(part: str) -> None:
    assert release(**{part: "other"}).id != release().id


def test_a_secret_enters_the_digest_only_keyed() -> None:
    one = config_digest({"A": "1"}, {"PASSWORD": "s3cret"}, b"key")
    assert one == config_digest({"A": "1"}, {"PASSWORD": "s3cret"}, b"key")
    assert one != config_digest({"A": "1"}, {"PASSWORD": "other"}, b"key")
    assert one != config_digest({"A": "1"}, {"PASSWORD": "s3cret"}, b"another key")


@pytest.mark.parametrize("given", [IMAGE, f"ghcr.io/acme/api@{IMAGE}", f" {IMAGE}\n"])
def test_an_image_is_known_by_its_digest(given: str) -> None:
    assert bare_digest(given) == IMAGE


@pytest.mark.parametrize("given", ["ghcr.io/acme/api:v1", "sha256:abc", "", "v1"])
def test_a_tag_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="not an image by digest"):
        bare_digest(given)


@pytest.mark.parametrize("given", ["main", "1234567", "", "g" * 40, "--upload-pack=x"])
def test_only_a_full_sha_is_taken(given: str) -> None:
    with pytest.raises(UsageError, match="not a full commit sha"):
        full_sha(given)


def test_dotenv() -> None:
    text = "# comment\n\nexport A=1\nB = two words \nC='quoted = #'\nD=\"x\"\nE=a=b\nF=\n"
    assert parse_dotenv(text) == {"A": "1", "B": "two words", "C": "quoted = #", "D": "x", "E": "a=b", "F": ""}


PEM = "-----BEGIN KEY-----\nMIIEabc=\nabcdefTAIL99==\n-----END KEY-----"


def test_a_quoted_value_goes_over_lines() -> None:
    assert parse_dotenv(f'A=1\nKEY="{PEM}"\nB=2') == {"A": "1", "KEY": PEM, "B": "2"}
    assert parse_dotenv("A='\none\n\n' \r\nB=2\r\n") == {"A": "\none\n\n", "B": "2"}
    assert parse_dotenv("A=x\u2028B=y\x0cC=z") == {"A": "x\u2028B=y\x0cC=z"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=1\nB='topsecret", 2),
        ("A='topsecret\nB=2", 1),
        ("A='topsecret\nB='y'", 1),
        (f'KEY="{PEM}\nB=2', 1),
        ('A="topsecret" # why', 1),
        ('A="', 1),
        ("A=a\0topsecret", 1),
    ],
)
def test_a_quote_that_nothing_ends_is_an_error_and_never_another_setting(text: str, line: int) -> None:
    with pytest.raises(ConfigError, match=f"line {line} ") as caught:
        parse_dotenv(text)
    assert "topsecret" not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from("'\""))
def test_a_value_in_quotes_comes_out_as_it_went_in(value: str, quote: str) -> None:
    if quote not in value and "\0" not in value and "\r" not in value:
        found = parse_dotenv(f"A={quote}{value}{quote}\nB=1")
        assert found == {"A": value, "B": "1"}


AWKWARD = 'p@ss\\w"or/d%1 ü'


@pytest.mark.parametrize(
    "told",
    [
        AWKWARD,
        repr(AWKWARD),
        json.dumps(AWKWARD),
        json.dumps(AWKWARD, ensure_ascii=False),
        urllib.parse.quote(AWKWARD),
        urllib.parse.quote(AWKWARD, safe=""),
        urllib.parse.quote_plus(AWKWARD),
    ],
)
def test_a_secret_is_hidden_however_it_is_spelled(told: str) -> None:
    hidden = redact(f"failed: {told}.", [AWKWARD])
    assert hidden.replace('"', "").replace("'", "") == "failed: ***."


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgres://u:topsecretpw@h/d", "topsecretpw"),
        ("postgres://u:top%40secret@h/d?x=1", "top@secret"),
        ("redis://:p/w@rd!x@h:1/0", "p/w@rd!x"),
    ],
)
def test_the_password_in_a_url_is_hidden_alone(url: str, password: str) -> None:
    assert password not in redact(f"auth failed for u with {password}, {url}", [url])


def test_the_lines_of_a_secret_are_hidden_and_what_is_in_every_text_is_not() -> None:
    secret = '{\n  "key": "MIIEabc"\n}'
    assert redact(f"read {secret.splitlines()[1]}", [secret]) == "read   ***"
    assert redact("{ abc }", [secret, "abc"]) == "{ abc }"


@given(st.text(max_size=30))
def test_spellings_have_the_secret_and_nothing_short(secret: str) -> None:
    found = spellings(secret)
    assert (secret in found) == (len(secret) >= SHORTEST_SECRET)
    assert all(len(one) >= SHORTEST_SECRET for one in found)
    assert secret not in redact(f"-{secret}-", [secret]) or len(secret) < SHORTEST_SECRET or secret in "-***-"


def test_what_is_refused_is_not_repeated_at_length() -> None:
    for refuse in (bare_digest, full_sha):
        with pytest.raises(UsageError) as caught:
            refuse("x" * 100_000)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["A=1\nsecret-without-name", "=x", "A B=1", "1A=x"])
def test_a_broken_line_is_named_without_its_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dotenv(text)
    assert "line" in str(caught.value)
    assert "secret-without-name" not in str(caught.value)
