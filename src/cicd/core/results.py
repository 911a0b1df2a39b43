"""What a command answers: one value, from which outputs, messages and exit code follow."""

from typing import Any, Literal

import msgspec

SCHEMA = 1

Decision = Literal["done", "nothing-to-do", "planned", "waiting", "refused", "failed"]


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a command.

    Attributes:
        decision: what was done.
        reason_code: why, one stable word; "ok" when all went well.
        message: one sentence for people.
        answer: what was asked for, in lines for people; a terminal has it on stdout, so that it can be piped.
        outputs: the action's own outputs besides the common three, by output name.
        data: everything else worth knowing, JSON-able.
        summary: Markdown for the job summary; empty for none.
        exit_code: of the process; 0 only when the decision is not "refused" or "failed".
    """

    decision: Decision
    reason_code: str = "ok"
    message: str = ""
    answer: str = ""
    outputs: dict[str, str] = {}
    data: dict[str, Any] = {}
    summary: str = ""
    exit_code: int = 0


def result_json(command: str, result: Result) -> str:
    """The `result` output: JSON with a schema version, the same for every command."""
    value = {
        "schema": SCHEMA,
        "command": command,
        "decision": result.decision,
        "reason_code": result.reason_code,
        "message": "\n".join(filter(None, (result.answer, result.message))),
        "outputs": result.outputs,
        "data": result.data,
    }
    return msgspec.json.encode(value).decode()
