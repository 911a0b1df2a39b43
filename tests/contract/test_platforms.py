"""What actions of tests import is also there where Linux's own modules are not, as on Windows."""

import subprocess
import sys

import pytest

from tests.contract.test_layout import CHECKOUT, SOURCE

pytestmark = pytest.mark.real
ELSEWHERE = """
import importlib, os, psutil, runpy, selectors, shutil, signal, socketserver, subprocess, sys, tempfile
for name in ("fcntl", "pwd", "grp", "termios", "pty", "tty", "syslog"):
    sys.modules[name] = None
for module, names in {
    signal: ("SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGCHLD", "SIGALRM"),
    os: ("geteuid", "getuid", "getegid", "getsid", "killpg", "getpgid", "setsid", "fork", "O_NONBLOCK", "pread"),
}.items():
    for name in names:
        delattr(module, name)
sys.path.insert(0, sys.argv[1])
runpy.run_path(sys.argv[2], run_name="bootstrap")
for name in ("cli", "commands.setup_env", "commands.run_suite", "commands.suite_fan_in"):
    importlib.import_module(f"cicd.{name}")
"""


def test_imports_without_what_is_linux_alone() -> None:
    argv = [sys.executable, "-I", "-c", ELSEWHERE, str(SOURCE), str(CHECKOUT / "bin" / "bootstrap")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
