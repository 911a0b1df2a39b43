"""`cicd release`: make a version of cicd itself, or see whether one was made of its commit and of nothing else."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from cicd.adapters.repository import Repository
from cicd.adapters.runner import Runner
from cicd.core.pinning import EXACT, WORKFLOWS, Version, notes, pinned, read_version, references, require_next, rounds
from cicd.errors import CicdError, NotReleasable

CHECKOUT = Path(__file__).resolve().parents[3]
AUTHOR = "cicd release <cicd-release@users.noreply.github.com>"
ABOUT = """Make a version of cicd itself, of the commit that is checked out.

  bin/cicd release 1.2.3           commits with exact references, the tag v1.2.3, and v1 moved there; nothing is pushed
  bin/cicd release 1.2.3 --check   whether the tag v1.2.3 is what would be made of its commit: anybody can see that

CONTRIBUTING.md says how a version is released; .github/workflows/release.yml does it."""


def main(arguments: Sequence[str]) -> int:
    """Do it; 0, or the exit code of the error."""
    parser = argparse.ArgumentParser(
        prog="cicd release", description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("version", help="such as 1.2.3")
    parser.add_argument("-C", "--directory", default=str(CHECKOUT), help="the repository (default: this checkout)")
    parser.add_argument("--check", action="store_true", help="make nothing: see whether the tag is right")
    parser.add_argument("--notes", default="", metavar="FILE", help="write what CHANGELOG.md says of it into this file")
    given, runner = parser.parse_args(arguments), Runner.here()
    repository = Repository(Path(given.directory), runner.env)
    try:
        version = read_version(given.version)
        sha = check(repository, version) if given.check else release(repository, version, runner)
        if given.notes:
            text = notes(repository.text(sha, "CHANGELOG.md"), version)
            Path(given.notes).write_text(f"{text}\n", encoding="utf-8")
    except CicdError as error:
        runner.say(f"cicd release: {error}")
        return error.code
    print(sha)
    return 0


def release(repository: Repository, version: Version, runner: Runner) -> str:
    """refuse → make the commits → set the tags; gives the commit of the version. Raises NotReleasable."""
    require_next(version, repository.tags())
    if changed := repository.changed():
        raise NotReleasable(
            f"{len(changed)} files are not committed, such as {changed[0]}", next_step="commit them, or put them away"
        )
    base = repository.sha("HEAD")
    require_told(repository, base, version)
    chain = make(repository, base, version)
    for sha in chain:
        runner.say(f"  · {sha}")
    repository.tag(version.tag, chain[-1])
    repository.tag(version.moving, chain[-1], move=True)
    runner.say(f"{version.tag} and {version.moving} are {chain[-1]}")
    return chain[-1]


def require_told(repository: Repository, base: str, version: Version) -> None:
    """Raises NotReleasable: the commit does not call itself this version, or says nothing of it."""
    notes(repository.text(base, "CHANGELOG.md"), version)
    source = "src/cicd/__init__.py"
    if f'__version__ = "{version}"' not in repository.text(base, source):
        raise NotReleasable(f"{source} says another version", next_step=f'write `__version__ = "{version}"` there')


def make(repository: Repository, base: str, version: Version) -> list[str]:
    """The commits of a version, from the one that it is made of on."""
    texts = workflows(repository, base)
    chain = [base]
    for number, paths in enumerate(rounds(texts, version), start=1):
        files = {path: pinned(texts[path], chain[-1], version) for path in paths}
        what = "actions" if number == 1 else "workflows"
        message = (
            f"{version.tag}: {what} are referred to by the commit before\n\nMade by `bin/cicd release {version}`.\n"
        )
        chain.append(repository.commit(chain[-1], files, message, AUTHOR))
    return chain


def workflows(repository: Repository, commit: str) -> dict[str, str]:
    return {
        path: repository.text(commit, path) for path in repository.paths(commit, WORKFLOWS) if path.endswith(".yml")
    }


def check(repository: Repository, version: Version) -> str:
    """Make the version anew of the commit that its tag grew from; gives the tag's commit. Raises NotReleasable."""
    sha = base = repository.sha(version.tag)
    while any(EXACT.fullmatch(one.ref) for text in workflows(repository, base).values() for one in references(text)):
        base = repository.parent(base)
    require_told(repository, base, version)
    made = make(repository, base, version)[-1]
    if made != sha:
        raise NotReleasable(
            f"{version.tag} is {sha}, and {made} would be made of {base}",
            cause="something else was put into it, or another version of cicd has made it",
            next_step=f"see `git diff {made} {sha}`",
        )
    return sha
