"""A verdict as the one comment of a pull request that is kept up to date.

It is found by a mark in its first line, and by its author: anybody can quote the mark. The mark also says of which run
it is, so that a run that ends late does not overwrite what a newer one has said.
"""

import re
from collections.abc import Iterable, Sequence

import msgspec

from cicd.core.check_run import NOT_BELIEVED, WHERE, headline
from cicd.core.markdown import inline
from cicd.core.page import Page
from cicd.core.verdict_report import VerdictReport
from cicd.core.verdict_table import failure_row, figures_table, paragraphs
from cicd.core.words import counted

LONGEST = 65_536  # characters; we count bytes
ROWS = 20  # failures; a comment is read beside a conversation, and the check run has the others
MARK = re.compile(r"\A<!-- cicd verdict ([0-9a-f]{16}) (\d{1,18})\.(\d{1,9}) -->")


class Comment(msgspec.Struct, frozen=True, kw_only=True):
    """A comment of the token's owner. Anybody can quote the mark: those of others are none of ours."""

    id: int
    body: str


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What to do.

    Attributes:
        update: id of the comment to change; None: make one.
        delete: older ones of ours, which two runs at the same time have made.
        stale: a newer run has spoken already: nothing is to be done.
    """

    update: int | None = None
    delete: tuple[int, ...] = ()
    stale: bool = False


def mark(key: str, run: int, attempt: int) -> str:
    """The first line. `key`: of VerdictReport.key()."""
    return f"<!-- cicd verdict {key} {run}.{attempt} -->"


def may_be_ours(body: str, key: str) -> bool:
    """Whether it begins with the mark; whose it is has to be seen."""
    found = MARK.match(body)
    return found is not None and found[1] == key


def choose(comments: Iterable[Comment], key: str, run: int, attempt: int) -> Choice:
    """Which comment to write: the newest one of ours with the mark."""
    ours = sorted((one for one in comments if may_be_ours(one.body, key)), key=lambda one: one.id)
    if not ours:
        return Choice()
    *older, last = ours
    said = [(int(found[2]), int(found[3])) for one in ours if (found := MARK.match(one.body))]
    return Choice(update=last.id, delete=tuple(one.id for one in older), stale=max(said) > (run, attempt))


def comment(
    report: VerdictReport,
    first_line: str,
    sha: str,
    links: Sequence[tuple[str, str]],
    *,
    of_a_fork: bool = False,
    ended_well: bool = True,
) -> str:
    """The comment.

    Args:
        first_line: of mark().
        sha: of the commit that was tested.
        links: text → address, ours.
        of_a_fork: the report comes from the fork's own run; `ended_well`: whether that was a success.
    """
    told = [f"Commit {sha[:10]}", *(f"[{text}]({address})" for text, address in links)]
    told += (
        ["changes are against the branch's last green run"] if any(one.before.tests for one in report.suites) else []
    )
    told += ["told by the fork's own run: no proof"] if of_a_fork else []
    foot = " · ".join(told)
    page = Page(LONGEST - 1 - len(foot.encode()) - 2)
    page.add(first_line)
    variant = f"{inline(report.variant, 100)}: " if report.variant else ""
    page.add(f"### {'✅' if report.green and ended_well else '❌'} {variant}{inline(headline(report), 300)}")
    if report.green and not ended_well:
        page.add(NOT_BELIEVED)
    suites, remarks = figures_table(page, report), paragraphs(page, report)
    unlisted = report.failed - _failures(page, report)
    rest = f"… and {counted(unlisted, 'failure')} more, in the check run and {WHERE}." if unlisted > 0 else ""
    return f"{page.end(suites, remarks, rest)}\n\n{foot}"


def _failures(page: Page, report: VerdictReport) -> int:
    """The first failures, folded; gives how many."""
    rows = [failure_row(failure) for one in report.suites for failure in one.failures]
    head = "<details><summary>Failures</summary>\n\n| failed | where | what |\n| --- | --- | --- |"
    return page.add_rows(head, rows[:ROWS], tail="</details>")
