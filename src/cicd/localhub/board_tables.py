"""The board's tables: deployments and runs."""

from __future__ import annotations

from datetime import datetime

from cicd.localhub.board_data import Deployment, Repository
from cicd.localhub.markup import Child, Markup, link, tag
from cicd.localhub.store import Row

# Every state has a sign and a word: colour alone tells nobody anything.
_SIGNS = {
    "stable": ("✓", "good"),
    "success": ("✓", "good"),
    "failed": ("✕", "bad"),
    "failure": ("✕", "bad"),
    "error": ("✕", "bad"),
    "timed_out": ("✕", "bad"),
    "rolled-back": ("↩", "back"),
    "inconclusive": ("?", "unsure"),
    "waiting": ("‖", "unsure"),
    "in_progress": ("▶", "busy"),
    "queued": ("…", "busy"),
    "pending": ("…", "busy"),
}


def chip(state: str) -> Markup:
    """A state as a small sign with its word."""
    sign, tone = _SIGNS.get(state, ("·", "idle"))
    return tag("span", tag("span", sign, aria_hidden="true"), " ", state.replace("_", " "), class_=f"chip {tone}")


def moment(at: str) -> Markup:
    """A time; the script turns it into words such as `3 min ago`."""
    try:
        shown = datetime.fromisoformat(at).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        shown = at
    return tag("time", shown, datetime=at)


def short(sha: str) -> str:
    """A sha as people write it."""
    return sha[:7]


def _row(key: str, cells: dict[str, Child]) -> Markup:
    first, *others = cells.items()
    return tag(
        "tr",
        tag("th", first[1], scope="row", data_label=first[0]),
        [tag("td", child, data_label=name) for name, child in others],
        id=key,
    )


def _table(key: str, caption: str, columns: list[str], rows: list[Markup]) -> Markup:
    head = tag("thead", tag("tr", [tag("th", column, scope="col") for column in columns]))
    body = tag("tbody", rows, data_list=True, id=f"{key}-rows")
    return tag("table", tag("caption", caption), head, body, id=key)


def _cells(entry: Deployment) -> dict[str, Child]:
    approved = tag("span", f"approved by {', '.join(entry.approved_by)}", class_="fine") if entry.approved_by else None
    facts = [tag("li", name, " ", tag("code", value)) for name, value in entry.details]
    release = [tag("strong", entry.release), " ", tag("code", short(entry.sha))]
    more = tag("details", tag("summary", "details"), tag("ul", facts, class_="facts")) if facts else None
    verdict = [chip(entry.verdict), " ", tag("span", entry.note, class_="fine")]
    by = [link(entry.log_url, entry.by) if entry.log_url else entry.by, " ", approved]
    when = tag("span", f"#{entry.id} ", moment(entry.at))
    where = {"When": when, "Environment": entry.environment, "What": entry.kind}
    return {**where, "Release": [*release, more], "Verdict": verdict, "By": by}


def history(repo: Repository) -> Markup:
    """The table of deployments, newest first."""
    rows = [_row(f"deployment-{entry.id}", _cells(entry)) for entry in repo.history]
    columns = ["When", "Environment", "What", "Release", "Verdict", "By"]
    some = f", the newest {len(rows)} of {repo.total}" if repo.total > len(rows) else ""
    return _table(f"history-{repo.id}", f"Deployments{some}", columns, rows) if rows else _none(repo, "deployments")


def _run_cells(run: Row) -> dict[str, Child]:
    status = run["conclusion"] if run["shown_status"] == "completed" else run["shown_status"]
    number = f"#{run['id']}" + (f" (attempt {run['attempt']})" if run["attempt"] > 1 else "")
    branch = [run["head_branch"] or "", " ", tag("code", short(run["head_sha"]))]
    cells: dict[str, Child] = {"Run": number, "Workflow": run["name"], "Event": run["event"], "Branch": branch}
    return {**cells, "State": chip(status or "completed"), "By": run["actor"], "Since": moment(run["updated_at"])}


def runs(repo: Repository) -> Markup:
    """The table of runs, newest first."""
    rows = [_row(f"run-{run['id']}", _run_cells(run)) for run in repo.runs]
    columns = ["Run", "Workflow", "Event", "Branch", "State", "By", "Since"]
    return _table(f"runs-{repo.id}", "Runs", columns, rows) if rows else _none(repo, "runs")


def _none(repo: Repository, what: str) -> Markup:
    """The place of a table that has no rows yet."""
    return tag("p", f"No {what} yet.", class_="empty", id=f"no-{what}-{repo.id}")
