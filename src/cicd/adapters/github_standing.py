"""How environments stand on GitHub: ledger, locks and protection in one query, and its answer read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cicd.core.approval import Protection
from cicd.core.ledger import Deployment, read_deployment
from cicd.core.lock import Seen, read_lock, ref_of
from cicd.errors import GitHubUnavailable

# One alias for each environment, so that a busy one does not push another's deployments off the page.
# The lock comes with it: object() takes what rev-parse takes, so also a ref that is neither a branch nor a tag.
QUERY = """
query(%(variables)s, $owner: String!, $name: String!) {
  repository(owner: $owner, name: $name) {
    %(environments)s
  }
}
fragment page on DeploymentConnection {
  nodes {
    databaseId environment task createdAt payload
    statuses(first: 10) { nodes { state description createdAt } }
  }
}
fragment rules on Environment {
  protectionRules(first: 10) {
    nodes {
      type preventSelfReview
      reviewers(first: 6) { totalCount nodes { ... on User { login } ... on Team { slug } } }
    }
  }
}
"""
ENVIRONMENT = """%(alias)s: deployments(first: 100, environments: [$%(alias)s],
      orderBy: {field: CREATED_AT, direction: DESC}) { ...page }
    %(alias)slock: object(expression: $%(alias)slock) { ... on Commit { oid message } }
    %(alias)srules: environment(name: $%(alias)s) { ...rules }"""
RULES = "rules"  # how the aliases of what the answer may lack end


@dataclass(frozen=True)
class Standing:
    """How environments stand.

    Attributes:
        ledger: our deployments, newest first; of each environment the newest hundred.
        locks: environment → its lock.
        protections: environment → how it is protected, where the answer shows reviewers. Nothing follows from there
            being none: the token may not be allowed to see them.
    """

    ledger: list[Deployment] = field(default_factory=list)
    locks: dict[str, Seen] = field(default_factory=dict)
    protections: dict[str, Protection] = field(default_factory=dict)


def standing_query(owner: str, name: str, environments: list[str]) -> tuple[str, dict[str, str]]:
    """The query for these environments of a repository, and its variables."""
    aliases = _aliases(environments)
    parts = "\n    ".join(ENVIRONMENT % {"alias": alias} for alias in aliases)
    declared = ", ".join(f"${alias}: String!, ${alias}lock: String!" for alias in aliases)
    refs = {f"{alias}lock": ref_of(environment) for alias, environment in aliases.items()}
    return QUERY % {"variables": declared, "environments": parts}, {**aliases, **refs, "owner": owner, "name": name}


def read_standing(data: Mapping[str, Any], environments: list[str]) -> Standing:
    """The standing in an answer's `data`; empty for a repository that is not there. Raises GitHubUnavailable."""
    try:
        return _standing(data, environments)
    except (TypeError, AttributeError, LookupError, ValueError) as error:
        raise GitHubUnavailable(
            f"GitHub's answer about the ledger cannot be read: {type(error).__name__}",
            cause="a proxy has answered in its place, or GITHUB_GRAPHQL_URL and GITHUB_API_URL name something else",
            next_step="check these variables, then run it again; what runs was not touched",
        ) from error


def _standing(data: Mapping[str, Any], environments: list[str]) -> Standing:
    repository = data["repository"]
    if repository is None:
        return Standing(locks=dict.fromkeys(environments, Seen()))
    aliases = _aliases(environments)
    found = [entry for alias in aliases for node in repository[alias]["nodes"] if (entry := read_deployment(node))]
    protections = {name: _protection(repository.get(f"{alias}rules")) for alias, name in aliases.items()}
    return Standing(
        sorted(found, key=lambda entry: (entry.created_at, entry.id), reverse=True),
        {name: _seen(repository.get(f"{alias}lock")) for alias, name in aliases.items()},
        {name: protection for name, protection in protections.items() if protection},
    )


def part_of(answer: Any) -> dict[str, Any] | None:
    """The `data` of an answer whose only errors are that protection rules may not be seen; None for another answer.

    A run's token may be refused a team among the reviewers, and the ledger must not depend on that.
    """
    if not isinstance(answer, dict) or not (answer.get("data") or {}).get("repository"):
        return None
    paths = [error.get("path") or [] for error in answer.get("errors") or []]
    only_rules = all(len(path) > 1 and str(path[1]).endswith(RULES) for path in paths)
    return dict(answer["data"]) if only_rules else None


def _aliases(environments: list[str]) -> dict[str, str]:
    return {f"e{number}": name for number, name in enumerate(environments)}


def _seen(node: Mapping[str, Any] | None) -> Seen:
    """A lock from its node; an object that is no commit has neither oid nor message."""
    if node is None:
        return Seen()
    return Seen(oid=str(node.get("oid") or "?"), lock=read_lock(str(node.get("message") or "")))


def _protection(node: Mapping[str, Any] | None) -> Protection | None:
    rules = ((node or {}).get("protectionRules") or {}).get("nodes") or []
    demanding = [rule for rule in rules if rule and rule["type"] == "REQUIRED_REVIEWERS"]
    reviewers = [_reviewer(entry) for rule in demanding for entry in rule["reviewers"]["nodes"]]
    if not reviewers:
        return None
    return Protection(reviewers=reviewers, self_review=not any(rule.get("preventSelfReview") for rule in demanding))


def _reviewer(entry: Mapping[str, Any] | None) -> str:
    entry = entry or {}
    return str(entry.get("login") or entry.get("slug") or "(a team that the token may not see)")
