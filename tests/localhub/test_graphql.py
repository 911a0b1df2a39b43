"""GraphQL: the ledger query, and our schema against the published one."""

import functools
from typing import Any

import graphql
import pytest

from cicd.localhub.graphql import schema
from tests.localhub.hub import Hub, R
from tests.localhub.octokit import GRAPHQL, published

LEDGER = """
query($environments: [String!], $first: Int, $after: String, $last: Int, $before: String, $way: OrderDirection!) {
  repository(owner: "acme", name: "shop") {
    deployments(first: $first, after: $after, last: $last, before: $before, environments: $environments,
                orderBy: {field: CREATED_AT, direction: $way}) {
      totalCount
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
      edges { cursor node { databaseId } }
      nodes {
        databaseId id createdAt environment task payload description commitOid state
        ref { name prefix }
        creator { __typename login }
        latestStatus { state description createdAt logUrl environmentUrl }
        statuses(first: 10) { totalCount nodes { state description creator { login } deployment { databaseId } } }
      }
    }
  }
}
"""


def ask(hub: Hub, **variables: Any) -> dict[str, Any]:
    given = {"way": "DESC"} | variables
    reply = hub.alice.call("POST", "/graphql", {"query": LEDGER, "variables": given})
    assert reply.status == 200
    assert "errors" not in reply.body, reply.body
    found: dict[str, Any] = reply.body["data"]["repository"]["deployments"]
    return found


def fails(hub: Hub, query: str) -> str:
    reply = hub.alice.call("POST", "/graphql", {"query": query})
    assert reply.status == 200
    return str(reply.body["errors"][0]["message"])


def deploy(hub: Hub, environment: str = "dev", **more: Any) -> int:
    body = {"ref": "main", "required_contexts": [], "environment": environment, **more}
    return int(hub.alice.post(f"{R}/deployments", body)["id"])


def test_ledger_query(hub: Hub) -> None:
    deploy(hub, payload={"cicd": 1}, task="cicd", description="promote v1")
    target = f"{R}/deployments/1/statuses"
    urls = {"log_url": "https://example.org/log", "environment_url": "https://example.org"}
    hub.alice.post(target, {"state": "in_progress"})
    hub.alice.post(target, {"state": "success", "description": "stable: yes", **urls})
    deploy(hub, "prod", ref=hub.git("rev-parse", "main"))
    (node,) = ask(hub, environments=["dev"], first=10)["nodes"]
    assert node["payload"] == '{"cicd": 1}'
    assert (node["state"], node["task"], node["description"]) == ("ACTIVE", "cicd", "promote v1")
    assert node["ref"] == {"name": "main", "prefix": "refs/heads/"}
    assert node["creator"] == {"__typename": "User", "login": "alice"}
    latest = node["latestStatus"]
    assert (latest["state"], latest["description"]) == ("SUCCESS", "stable: yes")
    assert (latest["logUrl"], latest["environmentUrl"]) == ("https://example.org/log", "https://example.org")
    assert [entry["state"] for entry in node["statuses"]["nodes"]] == ["SUCCESS", "IN_PROGRESS"], "newest first"
    (prod,) = ask(hub, environments=["prod"], first=10)["nodes"]
    assert (prod["ref"], prod["latestStatus"], prod["state"]) == (None, None, "PENDING")
    assert ask(hub, environments=[], first=10)["totalCount"] == 0
    assert ask(hub, first=10)["totalCount"] == 2


def test_a_payload_sent_as_a_string_is_encoded_twice(hub: Hub) -> None:
    deploy(hub, payload='{"a": 1}')
    assert ask(hub, first=1)["nodes"][0]["payload"] == '"{\\"a\\": 1}"'


def ids(page: dict[str, Any]) -> list[int]:
    return [node["databaseId"] for node in page["nodes"]]


@pytest.mark.parametrize("way", ["ASC", "DESC"])
def test_pages_both_ways(hub: Hub, way: str) -> None:
    made = [deploy(hub) for _ in range(5)]
    wanted = made if way == "ASC" else made[::-1]
    forward: list[int] = []
    cursor = None
    while True:
        page = ask(hub, way=way, first=2, after=cursor)
        forward += ids(page)
        assert page["totalCount"] == 5
        assert page["pageInfo"]["hasPreviousPage"] is (cursor is not None)
        cursor = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert forward == wanted
    tail = ask(hub, way=way, last=2)
    assert (ids(tail), tail["pageInfo"]["hasPreviousPage"]) == (wanted[3:], True)
    before = ask(hub, way=way, last=2, before=tail["pageInfo"]["startCursor"])
    assert ids(before) == wanted[1:3]
    assert [edge["node"]["databaseId"] for edge in before["edges"]] == wanted[1:3]
    assert ids(ask(hub, way=way, first=0)) == []


def test_objects(hub: Hub) -> None:
    query = """query($name: String, $oid: GitObjectID) { repository(owner: "acme", name: "shop") {
      object(expression: $name, oid: $oid) { __typename oid ... on Commit { message messageHeadline } } } }"""

    def find(**variables: str) -> Any:
        reply = hub.alice.call("POST", "/graphql", {"query": query, "variables": variables})
        return reply.body["data"]["repository"]["object"]

    tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
    commit = hub.alice.post(f"{R}/git/commits", {"message": "one\n\ntwo", "tree": tree, "parents": []})
    assert find(name="refs/cicd/lock/production") is None
    hub.alice.post(f"{R}/git/refs", {"ref": "refs/cicd/lock/production", "sha": commit["sha"]})
    wanted = {"__typename": "Commit", "oid": commit["sha"], "message": "one\n\ntwo", "messageHeadline": "one"}
    assert find(name="refs/cicd/lock/production") == wanted
    assert find(oid=commit["sha"]) == find(name=commit["sha"]) == wanted
    assert find(name="main")["oid"] == hub.git("rev-parse", "main")
    assert find(oid=tree) == {"__typename": "Tree", "oid": tree}
    assert find(oid="0" * 40) is None
    assert find(name="no/such") is None


RULES = """query($name: String!) { repository(owner: "acme", name: "shop") { name environment(name: $name) {
  name protectionRules(first: 10) { totalCount nodes { type timeout preventSelfReview reviewers(first: 6) {
    totalCount nodes { __typename ... on User { login } ... on Team { slug } } } } } } } }"""


def test_protection_rules(hub: Hub) -> None:
    def find(name: str) -> Any:
        reply = hub.alice.call("POST", "/graphql", {"query": RULES, "variables": {"name": name}})
        return reply.body["data"]["repository"]["environment"]

    bob = {"type": "User", "id": hub.ids["bob"]}
    hub.alice.expect(200, "PUT", f"{R}/environments/open", {})
    body = {"reviewers": [bob], "prevent_self_review": True, "wait_timer": 5}
    hub.alice.expect(200, "PUT", f"{R}/environments/production", body)
    assert find("prod") is None
    assert find("open") == {"name": "open", "protectionRules": {"totalCount": 0, "nodes": []}}
    wait, review = find("production")["protectionRules"]["nodes"]
    assert (wait["type"], wait["timeout"], wait["reviewers"]["nodes"]) == ("WAIT_TIMER", 5, [])
    assert (review["type"], review["preventSelfReview"]) == ("REQUIRED_REVIEWERS", True)
    assert review["reviewers"] == {"totalCount": 1, "nodes": [{"__typename": "User", "login": "bob"}]}


def test_what_the_token_may_not_read_is_null_and_the_rest_stands(hub: Hub) -> None:
    caller = hub.app(deployments="read")
    body = caller.call("POST", "/graphql", {"query": RULES, "variables": {"name": "production"}}).body
    assert body["data"]["repository"] == {"name": "shop", "environment": None}
    (error,) = body["errors"]
    assert (error["type"], error["path"]) == ("FORBIDDEN", ["repository", "environment"])


def test_refusals(hub: Hub) -> None:
    inside = 'query {repository(owner: "acme", name: "shop") {deployments%s {totalCount}}}'
    assert "`first` or `last`" in fails(hub, inside % "")
    assert "not both" in fails(hub, inside % "(first: 1, last: 1)")
    assert "limit of 100" in fails(hub, inside % "(first: 101)")
    assert "valid cursor" in fails(hub, inside % '(first: 1, after: "x; DROP TABLE users")')
    assert "Could not resolve" in fails(hub, '{repository(owner: "acme", name: "no") {name}}')
    assert "Cannot query field" in fails(hub, "{nothing}")
    assert "Syntax Error" in fails(hub, "{")
    assert "too long" in fails(hub, "{" + "a" * 60_000 + "}")
    assert hub.alice.call("POST", "/graphql", {"query": 1}).status == 422


def test_rate_limit_and_viewer(hub: Hub) -> None:
    query = "{rateLimit {limit remaining used resetAt cost} viewer {login databaseId}}"
    run = hub.run()
    data = run.caller.call("POST", "/graphql", {"query": query}).body["data"]
    assert data["viewer"]["login"] == "github-actions[bot]"
    assert data["rateLimit"]["cost"] == 1


@functools.cache
def github() -> graphql.GraphQLSchema:
    return graphql.build_schema(published(GRAPHQL).decode(), assume_valid=True, no_location=True)


OURS = [kind for kind in schema().type_map.values() if not kind.name.startswith("__")]


@pytest.mark.parametrize("ours", OURS, ids=lambda kind: kind.name)
def test_schema_is_part_of_githubs(ours: graphql.GraphQLNamedType) -> None:
    theirs = github().type_map[ours.name]
    assert type(ours) is type(theirs)
    if isinstance(ours, graphql.GraphQLEnumType) and isinstance(theirs, graphql.GraphQLEnumType):
        assert ours.values.keys() <= theirs.values.keys()
    if isinstance(ours, graphql.GraphQLInputObjectType) and isinstance(theirs, graphql.GraphQLInputObjectType):
        assert {name: str(field.type) for name, field in ours.fields.items()} == {
            name: str(field.type) for name, field in theirs.fields.items()
        }
    if isinstance(ours, graphql.GraphQLObjectType) and isinstance(theirs, graphql.GraphQLObjectType):
        assert {kind.name for kind in ours.interfaces} <= {kind.name for kind in theirs.interfaces}
        same_fields(ours.fields, theirs.fields, ours.name)


def same_fields(ours: dict[str, Any], theirs: dict[str, Any], where: str) -> None:
    for name, field in ours.items():
        assert name in theirs, f"GitHub has no {where}.{name}"
        assert str(field.type) == str(theirs[name].type), f"{where}.{name}"
        for argument, value in field.args.items():
            known = theirs[name].args
            assert argument in known, f"GitHub has no {where}.{name}({argument}:)"
            assert str(value.type) == str(known[argument].type), f"{where}.{name}({argument}:)"
