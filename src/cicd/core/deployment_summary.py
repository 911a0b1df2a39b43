"""Plans and outcomes as Markdown for the job's summary and the approver."""

from cicd.core.markdown import code, inline
from cicd.core.migrations import Migration
from cicd.core.plan import Plan

MOST = 20  # commits that are named
ICONS = {"stable": "✅", "failed": "❌", "rolled-back": "↩️", "inconclusive": "❔"}


def plan_markdown(plan: Plan, *, secrets_known: bool = True) -> str:
    """What would happen, for the one who approves. Without its secrets a release has no id yet."""
    name = plan.release.name if secrets_known else plan.release.version or plan.release.sha[:12]
    replaces = f"{inline(plan.replaces.name)} at {plan.replaces.sha[:12]}" if plan.replaces else "nothing"
    lines = [
        f"### {plan.kind} {inline(name)} → {plan.environment}",
        "",
        f"- **commit** `{plan.release.sha[:12]}`, **image** `{plan.release.image[:19]}…`, **replaces** {replaces}",
        f"- **rollback class** {plan.rollback_class}{expected(plan)}",
        f"- **settings that change** {', '.join(map(code, plan.settings)) or 'none'}"
        + ("" if secrets_known else "; secret ones are not visible to this job"),
    ]
    lines += [f"- **commit** {inline(subject)}" for subject in plan.commits[:MOST]]
    lines += ["- … and more commits"] if len(plan.commits) > MOST else []
    lines += [migration_line(migration, taken_back=plan.kind == "rollback") for migration in plan.migrations]
    lines += ["", "Steps: " + " → ".join(str(step) for step in plan.steps), "", f"Plan `{plan.hash}`"]
    return "\n".join(lines)


def expected(plan: Plan) -> str:
    """How long going back would take, if that is known."""
    if plan.rollback_class == "forward only" or plan.replaces is None or plan.kind == "rollback":
        return ""
    return (
        f", about {plan.back_in:g} s by the deployments before" if plan.back_in is not None else ", not timed here yet"
    )


def migration_line(migration: Migration, *, taken_back: bool) -> str:
    """One migration, for the one who approves: what it is, and what suffers."""
    line = f"- **migration** {code(migration.revision)} {migration.kind}: {inline(migration.title)}"
    if migration.declared:
        line += f" (declared so: {inline(migration.declared)})"
    if taken_back:
        return line + (
            f"; **loses what was written since**: {inline('; '.join(migration.cost))}" if migration.cost else ""
        )
    if migration.breaks:
        line += f"; **breaks the code that runs**: {inline('; '.join(migration.breaks))}"
    return line + (f"; **loses data**: {inline('; '.join(migration.loses))}" if migration.loses else "")


def outcome_markdown(plan: Plan, verdict: str, message: str, seconds: dict[str, float], approved_by: list[str]) -> str:
    """What happened, for the job's summary."""
    icon = ICONS.get(verdict, "")
    lines = [
        f"### {icon} {plan.kind} {inline(plan.release.name)} → {plan.environment}: {verdict}",
        "",
        inline(message, 4000),
        "",
        f"Commit `{plan.release.sha[:12]}`, image `{plan.release.image[:19]}…`, schema `{plan.release.schema or '-'}`, "
        f"rollback class {plan.rollback_class}, approved by {inline(', '.join(approved_by)) or 'nobody (not needed)'}.",
        "",
        "| step | seconds |",
        "| --- | ---: |",
    ]
    lines += [f"| {inline(step)} | {took:.2f} |" for step, took in seconds.items()]
    return "\n".join(lines)
