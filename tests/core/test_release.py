import pytest

from cicd.core.release import Release, bare_digest, config_digest, full_sha, parse_dotenv
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


@pytest.mark.parametrize("text", ["A=1\nsecret-without-name", "=x", "A B=1", "1A=x"])
def test_a_broken_line_is_named_without_its_value(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dotenv(text)
    assert "line" in str(caught.value)
    assert "secret-without-name" not in str(caught.value)
