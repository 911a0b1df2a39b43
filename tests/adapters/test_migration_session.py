import ssl

import pytest

from cicd.adapters.migrators.alone import environment
from cicd.adapters.migrators.session import arguments, is_postgres
from cicd.core.config import Migrations


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://me:p%40ss@db:6543/shop?sslmode=require",
            {"user": "me", "password": "p@ss", "host": "db", "port": 6543, "database": "shop", "ssl_context": True},
        ),
        ("postgres://me@db", {"user": "me", "password": None, "database": "me", "port": 5432, "ssl_context": None}),
        ("postgresql+asyncpg://me@db/x?sslmode=disable", {"host": "db", "ssl_context": False}),
        ("postgresql://me@/x?host=/run/pg", {"unix_sock": "/run/pg/.s.PGSQL.5432", "host": None}),
        ("postgresql:///x?host=db&user=me&port=1", {"host": "db", "user": "me", "port": 1, "database": "x"}),
    ],
)
def test_arguments(url: str, expected: dict[str, object]) -> None:
    assert expected.items() <= arguments(url).items()


@pytest.mark.parametrize(("mode", "name"), [("verify-ca", False), ("verify-full", True)])
def test_certificates_are_verified_when_the_url_says_so(mode: str, name: bool) -> None:
    context = arguments(f"postgresql://me@db/x?sslmode={mode}")["ssl_context"]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, name)


@pytest.mark.parametrize("url", ["postgresql://me@one,two/x", "postgresql://me@db:port/x"])
def test_urls_that_are_too_much(url: str) -> None:
    with pytest.raises(ValueError):
        arguments(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("postgres://x", True), ("postgresql+psycopg://x", True), ("mysql://x", False), ("sqlite:x", False), ("", False)],
)
def test_what_is_postgresql(url: str, expected: bool) -> None:
    assert is_postgres(url) is expected


def test_the_user_s_own_options_go_before_ours() -> None:
    made = environment(Migrations(lock_timeout=0.5), "-c lock_timeout=9s")
    assert made["PGOPTIONS"] == "-c lock_timeout=500 -c statement_timeout=300000 -c lock_timeout=9s"
