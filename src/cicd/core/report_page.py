"""A verdict as one HTML page that needs nothing else: no script, no address, and every text of others is escaped.

What is listed has bounds, so that 100,000 tests make a page of the same size as 1,000.
"""

from collections.abc import Iterable, Sequence
from html import escape

from cicd.core.check_run import headline
from cicd.core.junit import Failure, Timing
from cicd.core.markdown import visible
from cicd.core.page import clipped, within
from cicd.core.report_picture import bars
from cicd.core.verdict_report import DURATIONS, TEXT, SuiteReport, VerdictReport
from cicd.core.verdict_table import change, seconds_changed
from cicd.core.words import counted

LARGEST = 4 * 1024 * 1024  # bytes of the failures of a page
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root{color-scheme:light dark;--line:#d0d7de;--soft:#59636e;--bar:#0969da;--red:#d1242f;--green:#1a7f37}
@media (prefers-color-scheme:dark){:root{--line:#3d444d;--soft:#9198a1;--bar:#4493f8;--red:#f85149;--green:#3fb950}}
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}
caption{text-align:left;font-weight:600;padding:.3rem 0}
th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th,td{overflow-wrap:anywhere}
th.n,td.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}
pre{overflow:auto;padding:.6rem;border:1px solid var(--line);white-space:pre-wrap;overflow-wrap:anywhere}
summary{cursor:pointer}
.red{color:var(--red)}.green{color:var(--green)}.soft{color:var(--soft)}
svg{max-width:100%;height:auto}svg rect{fill:var(--bar)}svg text{fill:currentColor;font:12px system-ui,sans-serif}
"""


def report_page(report: VerdictReport, about: str = "") -> str:
    """The page. `about`: what was tested, in a few words."""
    sign = "green" if report.green else "red"
    left = LARGEST
    suites = []
    for one in sorted(report.suites, key=lambda one: one.green):
        part, used = _suite(one, left)
        suites.append(part)
        left -= used
    title = clipped(headline(report), 300)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>",
            f'<h1><span class="{sign}">{"Green" if report.green else "Red"}</span>: {_text(title)}</h1>',
            f'<p class="soft">{_text(about)}</p>' if about else "",
            _overview(report),
            *suites,
            "</main>\n</body>\n</html>\n",
        ]
    )


def _text(text: str, most: int = 1000) -> str:
    return escape(clipped(visible(text), most))


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]], numbers: Sequence[int]) -> str:
    """A table; its cells are HTML already. `numbers`: columns that stand right."""

    def cells(row: Sequence[str], tag: str) -> str:
        made = [
            f"<{tag}{' scope=col' if tag == 'th' else ''}{' class=n' if at in numbers else ''}>{cell}</{tag}>"
            for at, cell in enumerate(row)
        ]
        return f"<tr>{''.join(made)}</tr>"

    body = "\n".join(cells(row, "td") for row in rows)
    return f"<table><caption>{caption}</caption>\n<thead>{cells(head, 'th')}</thead>\n<tbody>{body}</tbody></table>"


def _overview(report: VerdictReport) -> str:
    head = ("suite", "verdict", "tests", "failed", "skipped", "flaky", "longest shard", "all shards", "coverage")
    return _table("Suites", head, [_figures(one) for one in report.suites], range(2, 9))


def _figures(one: SuiteReport) -> tuple[str, ...]:
    if one.proof:
        return (_text(one.suite, 200), "proven before", *[""] * 7)
    before = one.before
    verdict = f'<span class="{"green" if one.green else "red"}">{"green" if one.green else "red"}</span>'
    return (
        _text(one.suite, 200),
        verdict,
        f"{one.ran:,}{change(one.ran - before.tests) if before.tests else ''}",
        f"{one.failed:,}",
        f"{one.skipped:,}",
        f"{one.flaky:,}",
        f"{one.seconds:.1f} s{seconds_changed(one.seconds, before.seconds)}",
        f"{one.work:.1f} s",
        f"{one.coverage}%" if one.coverage else "",
    )


def _suite(one: SuiteReport, room: int) -> tuple[str, int]:
    """A suite's part, and how many bytes of `room` its failures took."""
    failures, used = _failures(one, room)
    parts = [f"<section>\n<h2>{_text(one.suite, 200)}</h2>"]
    if one.what:
        told = [one.what, f"Cause: {one.cause}" if one.cause else "", f"Next: {one.next_step}" if one.next_step else ""]
        parts += [f'<p class="red">{_text(sentence, 2000)}</p>' for sentence in told if sentence]
    parts += [f"<p>{_text(sentence)}</p>" for sentence in one.said[:20]]
    parts.append(failures)
    if len(one.shards) > 1:
        named = [(f"shard {number}", seconds) for number, seconds in enumerate(one.shards, 1)]
        parts.append(bars("Shards", "seconds of each shard", named, " s"))
    if one.durations:
        limits = [f"≤ {limit:g} s" for limit in DURATIONS] + [f"> {DURATIONS[-1]:g} s"]
        histogram = [*zip(limits, one.durations, strict=False)]
        parts.append(bars("Durations", "how many tests took so long", histogram, ""))
    parts += [_timings("The slowest tests", one.slowest), _timings("The slowest files", one.files), _flaky(one)]
    return "\n".join([*filter(None, parts), "</section>"]), used


def _failures(one: SuiteReport, room: int) -> tuple[str, int]:
    shown, used = [], 0
    for failure in one.failures:
        part = _failure(failure)
        used += len(part.encode())
        if used > room:
            break
        shown.append(part)
    missing = one.failed - len(shown)
    more = f"<p>… and {counted(missing, 'failure')} more, in junit.xml beside this page.</p>" if missing > 0 else ""
    return ("\n".join([f"<h3>{counted(one.failed, 'failure')}</h3>", *shown, more]) if one.failed else ""), used


def _failure(failure: Failure) -> str:
    place = f"{failure.file}:{failure.line}" if failure.line else failure.file
    details = f"<pre>{escape(within(visible(failure.text), TEXT))}</pre>" if failure.text else ""
    where = f'<p class="soft">{_text(place)}</p>' if place else ""
    message = f"<p>{_text(failure.message)}</p>"
    return f"<details><summary><code>{_text(failure.test, 500)}</code></summary>{where}{message}{details}</details>"


def _timings(title: str, timings: Sequence[Timing]) -> str:
    rows = [(f"{one.seconds:.2f}", f"<code>{_text(one.test, 500)}</code>") for one in timings if one.seconds > 0]
    return _table(title, ("seconds", "name"), rows, (0,)) if rows else ""


def _flaky(one: SuiteReport) -> str:
    rows = [(f"<code>{_text(test.test, 500)}</code>", f"{test.percent:.0f}%") for test in one.flaky_tests]
    more = f"<p>… and {one.flaky - len(rows):,} more.</p>" if one.flaky > len(rows) and rows else ""
    table = _table("Flaky: passed only when run again", ("test", "of the runs before"), rows, (1,)) if rows else ""
    excused = [
        (f"<code>{_text(test.test, 500)}</code>", _text(test.owner, 100), _text(test.until, 40))
        for test in one.excused_tests
    ]
    others = f"<p>… and {one.excused - len(excused):,} more.</p>" if one.excused > len(excused) and excused else ""
    quarantine = _table("Failing in quarantine", ("test", "owner", "until"), excused, ()) if excused else ""
    return table + more + quarantine + others
