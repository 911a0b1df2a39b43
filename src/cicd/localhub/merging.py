"""What `auto_merge` of a deployment does: it brings the default branch into the branch that is to be deployed."""

from __future__ import annotations

import pygit2

from cicd.localhub.calls import Call
from cicd.localhub.history import find_commit, open_git
from cicd.localhub.problems import Problem
from cicd.localhub.refs import move_ref
from cicd.localhub.store import Row
from cicd.localhub.users import user_row


def signature(user: Row) -> pygit2.Signature:
    """Whom a commit is by that LocalHub makes for a user."""
    return pygit2.Signature(user["name"] or user["login"], f"{user['login']}@users.noreply.localhub")


def auto_merge(call: Call, branch: str, commit: pygit2.Commit) -> bool:
    """Merge the default branch into a branch that lacks some of it; gives whether there was something to merge.

    Raises Problem 409 when the two conflict.
    """
    default = call.repo["default_branch"]
    upstream = find_commit(call.db, call.repo, f"refs/heads/{default}")
    git = open_git(call.repo)
    if upstream is None or git.merge_base(commit.id, upstream.id) == upstream.id:
        return False
    index = git.merge_commits(commit.id, upstream.id)
    if index.conflicts:
        raise Problem(409, f"Conflict merging {default} into {branch}.")
    by = signature(user_row(call.db, call.user_id))
    message = f"Merge {default} into {branch}"
    merged = git.create_commit(None, by, by, message, index.write_tree(git), [commit.id, upstream.id])
    move_ref(call.db, call.repo, f"refs/heads/{branch}", str(merged))
    return True
