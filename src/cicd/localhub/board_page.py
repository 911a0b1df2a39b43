"""The board as HTML: one page that needs nothing from elsewhere."""

from __future__ import annotations

from importlib import resources

from cicd.localhub.board_data import Deployment, Environment, Pending, Repository
from cicd.localhub.board_tables import chip, history, moment, runs, short
from cicd.localhub.markdown import markdown
from cicd.localhub.markup import Markup, link, tag, text


def _file(name: str) -> Markup:
    return Markup(resources.files(__package__).joinpath(name).read_text())


def _release(deployment: Deployment) -> Markup:
    approved = f"approved by {', '.join(deployment.approved_by)}" if deployment.approved_by else None
    return text(
        [
            tag("p", tag("strong", deployment.release, class_="release"), " ", chip(deployment.verdict)),
            tag("p", tag("code", short(deployment.sha)), " · since ", moment(deployment.at), class_="fine"),
            tag("p", approved, class_="fine") if approved else None,
            tag("p", deployment.note, class_="fine") if deployment.note else None,
            tag("p", link(deployment.url, deployment.url), class_="fine") if deployment.url else None,
        ]
    )


def _environment(repo: Repository, environment: Environment) -> Markup:
    current, active = environment.current, environment.active
    under_way = (
        tag("p", chip(active.verdict), " ", active.kind, " of ", tag("strong", active.release), class_="active")
        if active
        else None
    )
    rules = tag("ul", [tag("li", rule) for rule in environment.rules], class_="rules") if environment.rules else None
    return tag(
        "li",
        tag("h3", environment.name),
        rules or tag("p", "no protection", class_="fine"),
        _release(current) if current else tag("p", "Nothing runs here yet.", class_="empty"),
        under_way,
        id=f"environment-{repo.id}-{environment.id}",
    )


def _form(pending: Pending, csrf: str) -> Markup:
    key = f"{pending.run_id}-{pending.environment_id}"
    options = [tag("option", login) for login in pending.candidates]
    name = f"{pending.environment} of run {pending.run_id}"
    hidden = {"csrf": csrf, "environment_id": str(pending.environment_id)}
    return tag(
        "form",
        [tag("input", type="hidden", name=field, value=value) for field, value in hidden.items()],
        tag("label", "Reviewer", tag("select", options, name="login", id=f"reviewer-{key}", required=True)),
        tag("label", "Comment (optional)", tag("input", name="comment", id=f"comment-{key}", autocomplete="off")),
        tag(
            "div",
            tag("button", "Approve", name="state", value="approved", class_="yes", aria_label=f"Approve {name}"),
            tag("button", "Reject", name="state", value="rejected", class_="no", aria_label=f"Reject {name}"),
            class_="answers",
        ),
        method="post",
        action=f"/board/runs/{pending.run_id}/review",
    )


def _pending(pending: Pending, csrf: str | None) -> Markup:
    key = f"{pending.run_id}-{pending.environment_id}"
    who = f"started by {pending.actor}"
    branch = [" · ", tag("span", pending.branch)] if pending.branch else []
    shown = markdown(pending.plan)
    plan = tag("div", shown, class_="plan", tabindex=0, role="region", aria_label="Plan") if pending.plan else None
    if not pending.reviewers:
        action: Markup | None = tag("p", f"Waits for its timer of {pending.wait_timer} minutes.", class_="fine")
    elif not pending.candidates:
        action = tag("p", "None of the reviewers may review their own run.", class_="fine")
    else:
        action = _form(pending, csrf) if csrf else tag("p", f"Waits for {' or '.join(pending.reviewers)}.")
    return tag(
        "li",
        tag("h3", chip("waiting"), " ", pending.environment, " · ", pending.workflow),
        tag(
            "p",
            f"Run {pending.run_id}, {who}",
            branch,
            " · ",
            tag("code", short(pending.sha)),
            " · ",
            moment(pending.since),
            class_="fine",
        ),
        plan,
        action,
        id=f"pending-{key}",
        data_say=f"{pending.workflow} waits for approval of {pending.environment}",
    )


def _repository(repo: Repository, csrf: str | None) -> Markup:
    waiting = [_pending(pending, csrf) for pending in repo.pending]
    environments = [_environment(repo, environment) for environment in repo.environments]
    none = tag("li", "No environment yet.", class_="empty", id=f"environment-{repo.id}-none")
    return tag(
        "section",
        tag("h2", repo.name, id=f"repo-name-{repo.id}"),
        tag(
            "ul", waiting, class_="pending", data_list=True, id=f"waiting-{repo.id}", aria_label="Waiting for approval"
        ),
        tag(
            "ol",
            environments or none,
            class_="environments",
            data_list=True,
            id=f"environments-{repo.id}",
            aria_label="Environments",
        ),
        history(repo),
        runs(repo),
        id=f"repo-{repo.id}",
        data_list=True,
        aria_labelledby=f"repo-name-{repo.id}",
    )


def render(
    repos: list[Repository], *, made: str, csrf: str | None = None, nonce: str | None = None, said: str = ""
) -> str:
    """The page.

    Args:
        made: the time, as GitHub writes it.
        csrf: for the forms; None leaves out all forms and scripts, for a page that is kept as a file.
        nonce: of the page's content security policy.
        said: what to tell first, such as the outcome of a form.
    """
    empty = tag("p", "No repository is registered yet: POST /_localhub/repos.", class_="empty", id="repo-none")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", _title(repos)),
        tag("link", rel="icon", href="data:,"),
        tag("style", _file("board.css"), nonce=nonce),
    )
    live = [tag("p", "live", id="live", class_="fine")] if csrf else []
    header = tag(
        "header",
        tag("h1", "LocalHub"),
        tag("p", "as of ", moment(made), class_="fine", id="made"),
        live,
    )
    main = tag(
        "main", [_repository(repo, csrf) for repo in repos] or empty, id="repositories", data_list=True, tabindex="-1"
    )
    body = tag(
        "body",
        tag("a", "Skip to the repositories", href="#repositories", class_="skip"),
        header,
        tag("p", said, id="said", role="status", aria_live="polite"),
        main,
        tag("script", _file("board.js"), nonce=nonce) if csrf else None,
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _title(repos: list[Repository]) -> str:
    waiting = sum(len(repo.pending) for repo in repos)
    return f"({waiting}) LocalHub" if waiting else "LocalHub"


def render_refusal(message: str) -> str:
    """A page that says why a form was not taken."""
    head = tag("head", tag("meta", charset="utf-8"), tag("title", "Not done · LocalHub"))
    body = tag("body", tag("h1", "Not done"), tag("p", message), tag("p", tag("a", "Back to the board", href="/board")))
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"
