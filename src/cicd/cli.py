"""The command line: arguments and CICD_INPUT_* variables in, one Result out."""

import argparse
import difflib
import importlib
import platform
import re
import sys
import textwrap
import traceback
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from cicd import __version__
from cicd.adapters.runner import Runner
from cicd.contract import COMMANDS, ROOT, TOKEN, Command, environment_name, input_fields, input_name
from cicd.core.markdown import inline
from cicd.core.results import Result, result_json
from cicd.errors import CicdError, UsageError
from cicd.examples import epilog

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
LONGEST_PATIENCE = 3600  # seconds
ADDRESS = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?")

MODULES = {name: f"cicd.commands.{name.replace('-', '_')}" for name in COMMANDS}

# Commands for people only: no action has them, so they are not in the contract.
LOCAL = {
    "demo": (
        "The whole pipeline on this machine: three environments, approvals, a bad release.",
        "cicd.commands.demo",
    ),
    "localhub": ("A GitHub that runs on this machine.", "cicd.localhub.__main__"),
    "act": ("Run a workflow of a repository on this machine, against LocalHub.", "cicd.commands.act"),
    "generate": (
        "Write what follows from the contract: action.yml files, schema, reference.",
        "cicd.commands.generate",
    ),
    "alerts": ("Let alerts of Alertmanager start rollback.yml.", "cicd.commands.alerts"),
    "exporter": ("Serve what the ledger tells, as metrics for Prometheus.", "cicd.commands.exporter"),
    "completion": (
        "Print what bash, zsh, fish or another shell needs to complete this command line.",
        "cicd.commands.completion",
    ),
    "release": ("Make a version of cicd itself: exact references, and its tags.", "cicd.commands.release"),
}

EPILOG = """examples:
  bin/cicd demo                               watch a service go dev → staging → production, and back
  bin/cicd init                               write a repository's config and workflows
  bin/cicd run-suite --run 'pytest -q'        run tests and see the report
  bin/cicd promote --environment staging --image sha256:… --dry-run
  bin/cicd status                             what runs where, and what one could go back to
  bin/cicd doctor                             what would stand in the way of a promotion, and how to mend it
  bin/cicd parity                             in which settings environments differ
  bin/cicd rollback --environment production  back to the last healthy release

`cicd COMMAND --help` has examples. Day to day: docs/operations.md.
Tab completion: `cicd completion --help`.
Every option may also come from a variable: CICD_INPUT_ENVIRONMENT=staging is --environment staging.
Exit codes are listed in docs/reference.md; 3 is a bug in cicd."""


HELD = ("token", "ssh_key", "known_hosts")  # inputs that the runner has for whoever needs them
FLAG: dict[str, Any] = {"nargs": "?", "const": "true"}  # `--dry-run` alone is `--dry-run true`


def parser() -> argparse.ArgumentParser:
    """The parser of every command, made from the contract."""
    top = argparse.ArgumentParser(
        prog="cicd",
        description="Test, promote and roll back a release as one transaction.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"cicd {__version__}, Python {platform.python_version()}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in COMMANDS.values():
        sub = commands.add_parser(
            command.name,
            help=command.help,
            description=textwrap.fill(command.help, 100),
            epilog=epilog(command.name, bool(command.permissions)),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        sub.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
        for entry in input_fields(command):
            about = entry.metadata
            shown = f" (default: {entry.default})" if entry.default and "${{" not in entry.default else ""
            needed = " (required)" if about["required"] else ""
            sub.add_argument(
                f"--{input_name(entry.name)}",
                dest=entry.name,
                help=(about["help"] + needed + shown).replace("%", "%%"),
                choices=about["choices"] or None,
                metavar=None if about["choices"] else "TEXT",
                **(FLAG if about["choices"] == ("false", "true") else {}),
            )
    for name, (help_text, _) in LOCAL.items():
        commands.add_parser(name, help=help_text, add_help=False)
    return top


def read_inputs(command: Command, given: Mapping[str, str | None], env: Mapping[str, str]) -> Any:
    """The inputs of a command: argument, else CICD_INPUT_* variable, else default.

    Raises:
        UsageError: a required input is missing, or one is not among its choices. All of them are named at once.
    """
    values, problems = {}, []
    for entry in input_fields(command):
        about, name = entry.metadata, input_name(entry.name)
        value = given.get(entry.name)
        if value is None:
            value = env.get(environment_name(entry.name), "").strip() or entry.default
        if value == TOKEN:  # not in a workflow: nobody has filled in the expression
            value = env.get("GITHUB_TOKEN") or env.get("GH_TOKEN") or ""
        problem = text_problem(value, 0 if about["secret"] else about["longest"])
        if problem:
            problems.append(f"`{name}` {problem}")
        if about["required"] and not value:
            problems.append(f"`{name}` is required")
        if value and about["choices"] and value not in about["choices"]:
            problems.append(f"`{name}` must be one of {', '.join(about['choices'])}, is `{value[:60]}`")
        values[entry.name] = value
    if problems:
        raise UsageError(
            f"{command.name}: {'; '.join(problems)}",
            next_step=f"`cicd {command.name} --help` lists every input",
        )
    return command.inputs(**values)


def text_problem(text: str, longest: int) -> str:
    """What is wrong with the text of an input, empty for nothing. `longest`: characters of one line; 0: any text."""
    kinds = {unicodedata.category(character) for character in set(text)}
    if "Cs" in kinds:  # how Python shows bytes that are no UTF-8
        return "is not UTF-8"
    if longest and kinds & {"Cc", "Zl", "Zp"}:
        return "must be one line without control characters"
    return f"has {len(text)} characters, and at most {longest} are taken" if longest and len(text) > longest else ""


def check_environment(env: Mapping[str, str]) -> None:
    """Check what is read from variables that are no inputs. Raises UsageError."""
    patience = env.get("CICD_GITHUB_PATIENCE") or "30"
    if not NUMBER.fullmatch(patience) or float(patience) > LONGEST_PATIENCE:
        raise UsageError(
            f"CICD_GITHUB_PATIENCE must be a number of seconds, is `{patience[:60]}`",
            next_step=f"set it to 0 to {LONGEST_PATIENCE}, or leave it out",
        )
    address = env.get("GITHUB_API_URL") or "https://api.github.com"
    if not ADDRESS.fullmatch(address):
        raise UsageError(
            f"GITHUB_API_URL must be an address such as `https://api.github.com`, is `{address[:60]}`",
            next_step="the runner sets it; leave it as it is",
        )


NOT_GIVEN = "HEAD"  # of the working directory: what `sha` is for a look or a build by hand
FULL_SHA = re.compile(r"[0-9a-f]{40}", re.IGNORECASE)


def with_commit(inputs: Any, command: Command, runner: Runner) -> Any:
    """Inputs whose `sha`, if they have one, is whole: any name of a commit that git knows in the working directory.

    build takes what is checked out where nothing else is said. What works on an image asks the image.

    Raises:
        UsageError: git knows no such commit.
    """
    if not hasattr(inputs, "sha"):
        return inputs
    given = inputs.sha or ((runner.sha or NOT_GIVEN) if command.name == "build" else "")
    if not given or FULL_SHA.fullmatch(given):
        return inputs
    from cicd.adapters.store import commit_of

    return replace(inputs, sha=commit_of(Path(inputs.working_directory), given))


def main(arguments: Sequence[str]) -> int:
    """Run one command; gives the exit code."""
    runner = Runner.here()
    try:
        arguments = expand_root(list(arguments), runner.env)
    except CicdError as error:
        return report(ROOT.name, refusal(error), runner, False)
    if arguments[:1] and arguments[0] in LOCAL:
        return int(importlib.import_module(LOCAL[arguments[0]][1]).main(arguments[1:]))
    if not arguments:
        parser().print_help(sys.stderr)
        return UsageError.code
    if arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
        return report(arguments[0], refusal(no_command(arguments[0])), runner, False)
    options = vars(parser().parse_args(arguments))
    command = COMMANDS[options["command"]]
    try:
        check_environment(runner.env)
        inputs = with_commit(read_inputs(command, options, runner.env), command, runner)
        for entry in input_fields(command):
            if entry.metadata["secret"]:
                runner.mask(getattr(inputs, entry.name))
        runner.token, runner.ssh_key, runner.known_hosts = (getattr(inputs, name, "") for name in HELD)
        result: Result = importlib.import_module(MODULES[command.name]).main(inputs, runner)
    except CicdError as error:
        result = refusal(error)
    except KeyboardInterrupt:
        result = Result(decision="failed", reason_code="interrupted", message="Interrupted.", exit_code=72)
    except Exception:
        result = Result(decision="failed", reason_code="bug", message=bug_report(), exit_code=3)
    return report(command.name, result, runner, options["json"])


def no_command(given: str) -> UsageError:
    """What somebody is told who types a command that there is not."""
    near = difflib.get_close_matches(given, [*COMMANDS, *LOCAL], 1)
    meant = f"did you mean `cicd {near[0]}`? " if near else ""
    return UsageError("There is no such command", next_step=f"{meant}`cicd --help` lists all")


def expand_root(arguments: list[str], env: Mapping[str, str]) -> list[str]:
    """`from-inputs` (the root action) → the command that its input names, which then reads its own inputs."""
    if arguments[:1] != ["from-inputs"]:
        return arguments
    return [read_inputs(ROOT, {}, env).command]


def refusal(error: CicdError) -> Result:
    """The result that an expected error is: refused if nothing was done, failed otherwise."""
    decision = "refused" if 10 <= error.code < 40 or error.code == 2 else "failed"
    return Result(
        decision=decision,  # type: ignore[arg-type]
        reason_code=error.reason,
        message=str(error),
        exit_code=error.code,
        data={"cause": error.cause, "next_step": error.next_step},
    )


def bug_report() -> str:
    """An unexpected error, such that it can be pasted into an issue."""
    where = f"cicd {__version__}, Python {platform.python_version()}, {platform.platform()}"
    return (
        f"An unexpected error, which is a bug in cicd. Please open an issue with this:\n{where}\n"
        + traceback.format_exc()
    )


def report(command: str, result: Result, runner: Runner, as_json: bool) -> int:
    """Say the result: outputs, summary, annotation, and JSON if wanted. Gives the exit code.

    What was done stays done where the runner's files cannot be written.
    """
    for write in (write_outputs, write_summary):
        try:
            write(command, result, runner)
        except (OSError, ValueError) as error:
            runner.annotate("warning", f"The runner's file cannot be written: {error}", title=f"cicd {command}")
    if result.answer:
        tell = runner.say if as_json or runner.is_actions else runner.tell
        tell(result.answer)
    if result.exit_code:
        runner.annotate("error", result.message, title=f"cicd {command}: {result.reason_code}")
    elif result.message:
        runner.say(result.message)
    if as_json:
        runner.tell(result_json(command, result))  # for whoever asked, secrets included
    elif runner.shell:
        runner.tell("\n".join(runner.shell))  # for `eval "$(bin/cicd setup-env)"`
    return result.exit_code


def write_outputs(command: str, result: Result, runner: Runner) -> None:
    """Write the outputs. Raises OSError, ValueError."""
    secret = {output.name for output in COMMANDS[command].outputs if output.secret} if command in COMMANDS else set()
    shown = {name: value for name, value in result.outputs.items() if name not in secret}
    text = result_json(command, msgspec.structs.replace(result, outputs=shown))
    told = {"decision": result.decision, "reason-code": result.reason_code, **result.outputs, "result": text}
    for name, value in told.items():
        runner.output(name, value)


def write_summary(command: str, result: Result, runner: Runner) -> None:
    """Write the summary; where there is none, the error. Raises OSError, ValueError."""
    runner.summary(result.summary)
    if result.exit_code and not result.summary:
        runner.summary(f"### ❌ cicd {command}: {result.reason_code}\n\n{inline(result.message, 4000)}")
