"""What looks like a secret is never shown."""

import random
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cicd.core.public_text import looks_secret

NAMES = ["POSTGRES_PASSWORD", "pgpassword", "API_KEY", "apiKey", "STRIPE_SECRET", "accessToken", "KEY", "SENTRY_DSN"]


@pytest.mark.parametrize("name", NAMES)
@given(value=st.text(string.ascii_letters + string.digits + "$-./", min_size=1))
def test_by_its_name(name: str, value: str) -> None:
    assert looks_secret(name, value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://app:hunter2@db/app",
        "https://ghp0123456789abcdef@github.com/a/b",
        "redis-server --requirepass hunter2",
        "redis-cli -a hunter2 ping",
        "mysqladmin ping -phunter2",
        "serve --password=hunter2",
        "serve --api-key hunter2",
        "TOKEN=hunter2 serve",
        "${DB_PASSWORD:-hunter2}",
        "admin:$apr1$H6uskkkW$IgXLP6ewTrSuBkTrqE8wj/",
        "-----BEGIN PRIVATE KEY-----",
        "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
        "AKIAIOSFODNN7EXAMPLE",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
    ],
)
def test_by_its_looks(text: str) -> None:
    assert looks_secret("SETTING", text)


def test_what_is_drawn_by_lot() -> None:
    """Nearly all: a lot may fall so that it looks like a word."""
    chance = random.Random(1)
    drawn = [chance.randbytes(chance.randint(16, 64)).hex() for _ in range(2000)]
    assert sum(looks_secret("SETTING", text) for text in drawn) >= 1990


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("image", f"postgres:18@sha256:{'9f86d081' * 8}"),
        ("LOG_LEVEL", "DEBUG"),
        ("REDIS_URL", "redis://redis:6379/0"),
        ("DATABASE_URL", "postgresql://app:${DB_PASSWORD}@db/app"),
        ("DB_PASSWORD", "${DB_PASSWORD}"),
        ("POSTGRES_PASSWORD_FILE", "/run/secrets/db_password"),
        ("command", "python -m uvicorn assistant.main:app --host 0.0.0.0 --port 8000"),
        ("test", "CMD-SHELL 'pg_isready --username assistant'"),
        ("volumes", "./nginx/nginx.conf:/etc/nginx/nginx.conf:ro, postgres:/var/lib/postgresql/data18/pgdata"),
        ("security_opt", "no-new-privileges:true"),
        ("monkey", "a"),
        ("A", ""),
    ],
)
def test_what_may_be_shown(name: str, text: str) -> None:
    assert not looks_secret(name, text)


def test_a_password_that_looks_like_a_variable_is_none() -> None:
    assert looks_secret("PASSWORD", "$ecret")
