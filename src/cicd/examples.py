"""What people type, for each command's `--help`. A test parses every line."""

EXAMPLES = {
    "setup-env": """\
eval "$(cicd setup-env)"                                     what the config names; it ends with this shell
eval "$(cicd setup-env --services 'postgres:18 redis')"      without a config
cicd setup-env --seed tests/letters.sql                       with data, loaded after the migrations
cicd setup-env --migrate-check origin/main                   try new migrations up, down and up again""",
    "run-suite": """\
cicd run-suite --suite unit                                  a suite of the config
cicd run-suite --run 'python -m pytest -q' --coverage 85     without a config""",
    "promote": """\
IMAGE=$(cicd build)
cicd promote --environment dev --image "$IMAGE"
cicd promote --environment staging --image "$IMAGE" --dry-run""",
    "approve": """\
cicd approve --environment staging --issue 12                in a run that an approver starts: docs/operations.md""",
    "rollback": """\
cicd rollback --environment production --reason "too slow"   to the last healthy release
cicd rollback --environment production --to 0d909a4b9cbf     to a certain one, as `cicd status` names it
cicd rollback --environment production --dry-run             what would be done
cicd rollback --environment production --offline             on the target, while GitHub is away""",
    "recover": """\
cicd recover                                                 all environments of the config
cicd recover --environment staging""",
    "doctor": """\
cicd doctor                                                  all environments of the config
cicd doctor --environment production --json""",
    "build": """\
IMAGE=$(cicd build)                                          the commit that is checked out; files that are not
                                                             committed are not in it
cicd build --sha v1.4.2""",
    "plan": """\
IMAGE=$(cicd build)
cicd plan --environment staging --image "$IMAGE"             what would happen, or why it would be refused""",
    "dora": """\
cicd dora                                                     the last 30 days of this repository
cicd dora --days 90 --repositories "acme/api acme/web" --json
cicd dora --org acme --svg dora.svg --prometheus /var/lib/node_exporter/dora.prom""",
    "status": """\
cicd status
cicd status --json""",
    "init": """\
cicd init --dry-run                                          what it found, and the files that it would write
cicd init
cicd init --engine process                                   releases run without Docker""",
    "parity": """\
cicd parity                                                  in which settings environments differ
cicd parity --environments "staging production" --fail-on versions""",
    "lock": """\
cicd lock --environment production --reason "sale" --for 2h
cicd lock --environment production --reason "until I say so" """.rstrip(),
    "unlock": """\
cicd unlock --environment production                         a person's lock
cicd unlock --environment production --force                 a dead run's, too""",
}

FROM_A_TERMINAL = """\
From a terminal: GITHUB_TOKEN and GITHUB_REPOSITORY=owner/name say which GitHub repository is meant, GITHUB_API_URL
which GitHub, CICD_TARGET where releases lie on this machine. docs/operations.md."""


def epilog(command: str, needs_token: bool) -> str:
    """What stands below a command's options."""
    lines = "\n".join(f"  {line}" for line in EXAMPLES[command].splitlines())
    return f"examples:\n{lines}" + (f"\n\n{FROM_A_TERMINAL}" if needs_token else "")
