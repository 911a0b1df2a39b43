"""Plans and outcomes as Markdown for the job's summary and the approver."""

from cicd.core.plan import Plan

ICONS = {"stable": "✅", "failed": "❌", "rolled-back": "↩️", "inconclusive": "❔"}


def escape(text: str) -> str:
    """Text that Markdown and HTML leave alone, on one line."""
    for sign in "\\`*_[]<>|#":
        text = text.replace(sign, f"&#{ord(sign)};")
    return " ".join(text.split())


def plan_markdown(plan: Plan) -> str:
    """What would happen, for the one who approves."""
    replaces = f"{escape(plan.replaces.name)} at {plan.replaces.sha[:12]}" if plan.replaces else "nothing"
    lines = [
        f"### {plan.kind} {escape(plan.release.name)} → {plan.environment}",
        "",
        f"- **commit** `{plan.release.sha[:12]}`, **image** `{plan.release.image[:19]}…`, **replaces** {replaces}",
        f"- **rollback class** {plan.rollback_class}",
        f"- **settings that change** {', '.join(f'`{escape(name)}`' for name in plan.settings) or 'none'}",
    ]
    lines += [
        f"- **migration** `{escape(migration.revision)}` {migration.kind}: {escape(migration.title)}"
        for migration in plan.migrations
    ]
    lines += ["", "Steps: " + " → ".join(str(step) for step in plan.steps), "", f"Plan `{plan.hash}`"]
    return "\n".join(lines)


def outcome_markdown(
    plan: Plan, verdict: str, message: str, seconds: dict[str, float], approved_by: list[str], calls: int
) -> str:
    """What happened, for the job's summary."""
    icon = ICONS.get(verdict, "")
    lines = [
        f"### {icon} {plan.kind} {escape(plan.release.name)} → {plan.environment}: {verdict}",
        "",
        escape(message),
        "",
        f"Commit `{plan.release.sha[:12]}`, image `{plan.release.image[:19]}…`, schema `{plan.release.schema or '-'}`, "
        f"rollback class {plan.rollback_class}, approved by {escape(', '.join(approved_by)) or 'nobody (not needed)'}, "
        f"{calls} GitHub calls.",
        "",
        "| step | seconds |",
        "| --- | ---: |",
    ]
    lines += [f"| {escape(step)} | {took:.2f} |" for step, took in seconds.items()]
    return "\n".join(lines)
