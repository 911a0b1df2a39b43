"""`cicd completion`: what a shell needs to complete our command line."""

import argparse
from collections.abc import Sequence

import shtab

EPILOG = """install, where `bin/cicd` is on PATH as `cicd`:
  bash   cicd completion bash > ~/.local/share/bash-completion/completions/cicd
  zsh    cicd completion zsh > "${fpath[1]}/_cicd"
  fish   cicd completion fish > ~/.config/fish/completions/cicd.fish
  tcsh   cicd completion tcsh > ~/.cicd.tcsh, and `source ~/.cicd.tcsh` in ~/.tcshrc"""

FILES = {"config": shtab.FILE, "requirements": shtab.FILE, "working-directory": shtab.DIRECTORY}


def main(arguments: Sequence[str]) -> int:
    """Print the script of a shell."""
    options = argparse.ArgumentParser(
        prog="cicd completion",
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_argument("shell", choices=shtab.SUPPORTED_SHELLS)
    shell = options.parse_args(arguments).shell
    print(shtab.complete(completed(), shell))
    return 0


def completed() -> argparse.ArgumentParser:
    """The parser of all commands, which says where an input is a path."""
    from cicd.cli import parser  # which imports the commands by their names

    top = parser()
    for action in top._actions:  # argparse has no public way to its subcommands
        for command in action.choices.values() if isinstance(action, argparse._SubParsersAction) else ():
            for option in command._actions:
                kind = FILES.get(next((name[2:] for name in option.option_strings if name.startswith("--")), ""))
                if kind:
                    option.complete = kind  # where shtab looks
    return top
