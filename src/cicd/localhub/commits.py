"""Commits and comparisons."""

from __future__ import annotations

from typing import Any

import pygit2

from cicd.localhub.calls import Answer, Call, Json, Route, node_id, page_of, paged
from cicd.localhub.history import blob_at, find_commit, open_git, walk, when
from cicd.localhub.problems import Problem, not_found

UNSIGNED = {"verified": False, "reason": "unsigned", "signature": None, "payload": None, "verified_at": None}
MAX_FILES = 300
_STATES = {"A": "added", "D": "removed", "M": "modified", "R": "renamed", "C": "copied", "T": "changed"}


def person(signature: pygit2.Signature) -> Json:
    """An author or committer."""
    return {"name": signature.name, "email": signature.email, "date": when(signature)}


def commit_json(call: Call, commit: pygit2.Commit) -> Json:
    """GitHub's `commit`, without its files."""
    sha, tree = str(commit.id), str(commit.tree_id)
    url = f"{call.repo_url}/commits/{sha}"
    html = f"{call.html_url}/commit"
    parents = [str(parent) for parent in commit.parent_ids]
    return {
        "url": url,
        "sha": sha,
        "node_id": node_id("Commit", sha),
        "html_url": f"{html}/{sha}",
        "comments_url": f"{url}/comments",
        "commit": {
            "url": f"{call.repo_url}/git/commits/{sha}",
            "author": person(commit.author),
            "committer": person(commit.committer),
            "message": commit.message.rstrip("\n"),
            "comment_count": 0,
            "tree": {"sha": tree, "url": f"{call.repo_url}/git/trees/{tree}"},
            "verification": UNSIGNED,
        },
        "author": None,
        "committer": None,
        "parents": [
            {"sha": parent, "url": f"{call.repo_url}/commits/{parent}", "html_url": f"{html}/{parent}"}
            for parent in parents
        ],
    }


def _files(call: Call, diff: Any, sha: str) -> list[Json]:
    diff.find_similar()
    found = []
    for patch in list(diff)[:MAX_FILES]:
        name = patch.delta.new_file.path
        _, added, removed = patch.line_stats
        entry = {
            "sha": str(patch.delta.new_file.id),
            "filename": name,
            "status": _STATES.get(patch.delta.status_char(), "changed"),
            "additions": added,
            "deletions": removed,
            "changes": added + removed,
            "blob_url": f"{call.html_url}/blob/{sha}/{name}",
            "raw_url": f"{call.html_url}/raw/{sha}/{name}",
            "contents_url": f"{call.repo_url}/contents/{name}?ref={sha}",
        }
        if patch.delta.status_char() == "R":
            entry["previous_filename"] = patch.delta.old_file.path
        if not patch.delta.is_binary:
            entry["patch"] = "".join(
                hunk.header + "".join(line.origin + line.content for line in hunk.lines) for hunk in patch.hunks
            )
        found.append(entry)
    return found


def demand_commit(call: Call, ref: str) -> pygit2.Commit:
    """The commit of a ref. Raises 422 "No commit found for SHA" as GitHub's commit calls do."""
    commit = find_commit(call.db, call.repo, ref)
    if commit is None:
        raise Problem(422, f"No commit found for SHA: {ref}")
    return commit


def list_commits(call: Call) -> Answer:
    """GET commits: newest first, with `sha` (where to begin) and `path` (only commits that touch it)."""
    git = open_git(call.repo)
    start = find_commit(call.db, call.repo, call.query.get("sha") or call.repo["default_branch"])
    if start is None:
        raise not_found()
    commits = walk(git, start.id)
    if path := call.query.get("path"):
        commits = [commit for commit in commits if _touches(commit, path)]
    page = page_of(call)
    size, first = page.limits
    body = [commit_json(call, commit) for commit in commits[first : first + size]]
    return paged(call, body, page, len(commits))


def _touches(commit: pygit2.Commit, path: str) -> bool:
    def entry(of: pygit2.Commit) -> Any:
        found = blob_at(of, path)
        return found.id if found is not None else None

    here = entry(commit)
    return all(entry(parent) != here for parent in commit.parents) if commit.parents else here is not None


def get_commit(call: Call) -> Answer:
    """GET commits/{ref}: with the files that it changes."""
    commit = demand_commit(call, call.params["ref"])
    tree = commit.tree
    diff = commit.parents[0].tree.diff_to_tree(tree) if commit.parents else tree.diff_to_tree(swap=True)
    stats = diff.stats
    figures = {"additions": stats.insertions, "deletions": stats.deletions}
    return Answer(
        200,
        {
            **commit_json(call, commit),
            "stats": {**figures, "total": stats.insertions + stats.deletions},
            "files": _files(call, diff, str(commit.id)),
        },
    )


def compare(call: Call) -> Answer:
    """GET compare/{base}...{head}: how head stands to base, and what lies between."""
    base_name, dots, head_name = call.params["basehead"].partition("...")
    base = find_commit(call.db, call.repo, base_name)
    head = find_commit(call.db, call.repo, head_name)
    if not dots or base is None or head is None:
        raise not_found()
    git = open_git(call.repo)
    fork = git.merge_base(base.id, head.id)
    if fork is None:
        raise Problem(404, f"No common ancestor between {base_name} and {head_name}.")
    ahead, behind = git.ahead_behind(head.id, base.id)
    status = {(0, 0): "identical", (1, 0): "ahead", (0, 1): "behind"}.get((min(ahead, 1), min(behind, 1)), "diverged")
    commits = walk(git, head.id, base.id)[::-1]
    page = page_of(call, 250 if "page" not in call.query else 30)
    size, first = page.limits
    url, html = f"{call.repo_url}/compare/{base_name}...{head_name}", f"{call.html_url}/compare/{base.id}...{head.id}"
    body = {
        "url": url,
        "html_url": html,
        "permalink_url": html,
        "diff_url": f"{html}.diff",
        "patch_url": f"{html}.patch",
        "base_commit": commit_json(call, base),
        "merge_base_commit": commit_json(call, git[fork].peel(pygit2.Commit)),
        "status": status,
        "ahead_by": ahead,
        "behind_by": behind,
        "total_commits": ahead,
        "commits": [commit_json(call, commit) for commit in commits[first : first + size]],
        "files": _files(call, git[fork].peel(pygit2.Commit).tree.diff_to_tree(head.tree), str(head.id)),
    }
    return paged(call, body, page, len(commits))


ROUTES = [
    Route("GET", "/repos/{owner}/{repo}/commits", list_commits, "contents"),
    Route("GET", "/repos/{owner}/{repo}/commits/{ref}", get_commit, "contents", rest="ref"),
    Route("GET", "/repos/{owner}/{repo}/compare/{basehead}", compare, "contents", rest="basehead"),
]
