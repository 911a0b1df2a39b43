"""POST /graphql. The schema is a subset of GitHub's; graphql-core does the work and is imported when first needed."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import msgspec

from cicd.localhub.auth import allows
from cicd.localhub.calls import Answer, Call, Json, Route
from cicd.localhub.problems import forbidden

if TYPE_CHECKING:
    from graphql import GraphQLError, GraphQLSchema

MAX_QUERY = 50_000  # characters of a query; more is no query of a pipeline


class Query(msgspec.Struct, frozen=True):
    query: str
    variables: Json | None = None
    operationName: str | None = None


@cache
def schema() -> GraphQLSchema:
    """Our part of GitHub's schema."""
    from graphql import build_schema

    return build_schema(resources.files(__package__).joinpath("schema.graphql").read_text())


def _rate_limit(call: Call, *_: Any, **__: Any) -> Json:
    rate = call.rate
    reset = datetime.fromtimestamp(rate["reset"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    figures = {key: rate[key] for key in ("limit", "remaining", "used")}
    return {**figures, "cost": 1, "nodeCount": 0, "resetAt": reset}


def _error(error: GraphQLError) -> Json:
    formatted: Json = {**error.formatted}
    kind = (error.extensions or {}).get("type")
    return {"type": kind, **formatted} if kind else formatted


def execute(call: Call) -> Answer:
    """Run a query. Errors in it come with status 200 and a list `errors`, as GraphQL has it."""
    from graphql import graphql_sync

    from cicd.localhub.graphql_nodes import actor, find_repository

    asked = call.read(Query)
    # Who the token belongs to is told to everybody; what there is of repositories here are deployments.
    if call.token is None or ("repository" in asked.query and not allows(call.token, "deployments", "read")):
        raise forbidden()
    if len(asked.query) > MAX_QUERY:
        return Answer(200, {"errors": [{"message": "The query is too long"}]})
    root = {
        "repository": partial(find_repository, call),
        "rateLimit": partial(_rate_limit, call),
        "viewer": partial(actor, call, call.user_id),
    }
    result = graphql_sync(
        schema(), asked.query, root, variable_values=asked.variables, operation_name=asked.operationName
    )
    body: Json = {} if result.data is None and result.errors and not result.errors[0].path else {"data": result.data}
    if result.errors:
        body["errors"] = [_error(error) for error in result.errors]
    return Answer(200, body)


ROUTES = [Route("POST", "/graphql", execute, transaction="read")]
