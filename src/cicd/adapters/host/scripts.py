"""What is said to a shell on another machine. Pure: texts for a POSIX sh with coreutils or busybox, and their parts.

A command line can be read by everybody on a machine, so each session is started with the same COMMAND: it reads one
line from its stdin, in which the script is, and what is left of stdin is the script's.
"""

import os
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from cicd.adapters.host import Look

# No backslash, no `!` and one line only: the user's login shell, which may be any, must pass it on as it is.
COMMAND = """exec sh -c 'IFS= read -r line && eval "$(printf %b "$line")"'"""
# Seconds without a sign of life from us after which a host ends our connection, and so all that runs in it.
LEASE = 60
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
GRACE = 5  # seconds that a program is given to end by itself


def quoted(value: str | Path) -> str:
    """One word of a script. Raises ValueError for what no program can be given."""
    if "\0" in str(value):
        raise ValueError("embedded null byte")
    return shlex.quote(str(value))


def absolute(path: Path) -> str:
    """A path as a word, which is then never taken for an option. Raises ValueError."""
    if not path.is_absolute():
        raise ValueError(f"{path} is not absolute")
    return quoted(path)


def line(script: str) -> bytes:
    """A script as the line that COMMAND reads."""
    return os.fsencode(script).replace(b"\\", b"\\\\").replace(b"\n", b"\\n") + b"\n"


def framed(script: str, mark: str) -> str:
    """A script with a mark before what it writes to stdout (a login shell may write there first), and one with its code
    after what it writes to stderr.
    """
    return f"echo {mark}\n{{ {script}\n}}\necho {mark} $? >&2"


def keeper(mark: str) -> str:
    """Tells who we are there; ends the connection when we are gone, with all that runs in it.

    The parent is the sshd of this connection. Nobody else may notice for hours that we are gone: a machine that loses
    its power says nothing.
    """
    return (
        f'printf "%s\\n%s %s %s%s\\n" {mark} "$(id -u)" "$(id -g)" "$HOME" {mark}\n'
        f'while [ -n "$(timeout {LEASE} head -c 1)" ]; do :; done\nkill "$PPID"'
    )


def program(
    argv: Sequence[str], env: Mapping[str, str], cwd: Path | None, size: int, mark: str, *, merged: bool
) -> str:
    """Runs a program that reads `size` bytes; when our stdin ends, it is ended, with its children.

    The session is a process group of its own (sshd makes it). A missing program or folder is told with the mark.

    Args:
        merged: whether its stderr goes where its stdout goes.
    """
    if wrong := [name for name in env if not NAME.fullmatch(name)]:
        raise ValueError(f"{wrong[0]!r} is no name of a variable")
    exports = "".join(f"export {name}={quoted(value)}\n" for name, value in env.items())
    enter = f"cd {absolute(cwd)} 2>/dev/null || {{ echo {mark} nowhere >&3; exit 127; }}\n" if cwd else ""
    first, whole = quoted(argv[0]), " ".join(quoted(each) for each in argv)
    return f"""code=1; trap ending=1 TERM
exec 3>&2 5<&0
if {_taken(size)}; then
( trap "" TERM
cat <&5
kill -TERM 0
n=0; while kill -0 $$ && [ $n -lt {GRACE * 10} ]; do sleep 0.1; n=$((n+1)); done
sleep 0.5
kill -KILL 0
) >/dev/null 2>&1 3>&- 4<&- &
watcher=$!
( {enter}{exports}command -v {first} >/dev/null 2>&1 || {{ echo {mark} missing >&3; exit 127; }}
exec {whole} 3>&- 5<&- ) <&4 4<&- {"2>&1" if merged else ""}
code=$?
[ -n "$ending" ] || kill -KILL $watcher 2>/dev/null
else echo {mark} unread >&3
fi
( exit $code )"""


def _taken(size: int) -> str:
    """Descriptor 4 reads the next bytes of stdin. A file, not a pipe: nobody has to keep on writing."""
    if not size:
        return "exec 4</dev/null"
    return (
        f'taken=$(umask 077; mktemp) && head -c {size} >"$taken" && [ $(wc -c <"$taken") -eq {size} ]'
        ' && exec 4<"$taken" && rm -f "$taken"'
    )


def strict(*commands: str) -> str:
    """Commands of which each must succeed, in a shell of their own that says things in English."""
    return "( LC_ALL=C TZ=UTC0; export LC_ALL TZ; umask 077\n" + " || exit\n".join(commands) + "\n)"


def read(path: Path) -> str:
    return strict(f"cat {absolute(path)}")


def read_from(path: Path, number: int, position: int, most: int) -> str:
    """Tells the file's number and the place that is read from, then the part."""
    return strict(f"""{{ set -- $(stat -L -c "%i %s" /proc/self/fd/0); at=0
[ "$1" != {number} ] || [ "$2" -lt {position} ] || at={position}
echo "$1 $at"
dd bs=65536 skip=$((at/65536)) 2>/dev/null | tail -c +$((at%65536+1)) | head -c {most}
}} <{absolute(path)}""")


def look(path: Path) -> str:
    return strict(f'stat -L -c "%i %s %f %y" {absolute(path)}')


def write(path: Path, scratch: Path, size: int, mode: int, *, exclusive: bool) -> str:
    """Takes the content from stdin."""
    there, new = absolute(path), absolute(scratch)
    exists = f'[ ! -e {there} ] || {{ echo ": File exists" >&2; false; }}'
    folder = f'[ -L {there} ] || [ ! -d {there} ] || {{ echo ": Is a directory" >&2; false; }}'
    place = f"ln {new} {there} && rm -f {new}" if exclusive else f"mv -fT {new} {there}"
    return _or_without(
        scratch,
        exists if exclusive else folder,
        *_received(scratch, size),
        f"chmod {mode:o} {new}",
        f"sync {new}",
        place,
        f"sync {absolute(path.parent)}",
    )


def swap(path: Path, scratch: Path, size: int, was: Look, fence: Path, token: int, mark: str) -> str:
    """Takes the content from stdin. A higher token, or that the file is another one now, is told with the mark."""
    there, new = absolute(path), absolute(scratch)
    return _or_without(
        scratch,
        *_received(scratch, size),
        f"chmod 600 {new}",
        f"sync {new}",
        *_unfenced(fence, token, mark),
        f'[ "$(stat -L -c "%i %s" {there})" = "{was.number} {was.size}" ] || {{ echo {mark} changed >&2; false; }}',
        f"mv -fT {new} {there}",
        f"sync {absolute(path.parent)}",
    )


def _unfenced(fence: Path, token: int, mark: str) -> list[str]:
    """Goes on unless the fence has a higher token, which is told with the mark."""
    return [
        f"highest=$(cat {absolute(fence)} 2>/dev/null); case $highest in ''|*[!0-9]*) highest=0;; esac",
        f"[ $highest -le {token} ] || {{ echo {mark} fenced $highest >&2; false; }}",
    ]


def _received(scratch: Path, size: int) -> list[str]:
    """All of stdin as a file; where the connection is lost there are fewer bytes."""
    new = absolute(scratch)
    return [f"cat >{new}", f"[ $(wc -c <{new}) -eq {size} ]"]


def _or_without(scratch: Path, *commands: str) -> str:
    """Strict commands; when one fails, what they made beside the real one is removed."""
    return f"{strict(*commands)} || {{ code=$?; rm -rf {absolute(scratch)}; ( exit $code ); }}"


def append(path: Path, size: int, root: Path, fence: Path, token: int, mark: str) -> str:
    """Takes the line from stdin. A higher token is told with the mark."""
    there = absolute(path)
    return strict(
        _made(path.parent, root),
        *_unfenced(fence, token, mark),
        f"[ -e {there} ] || {{ : >{there} && sync {absolute(path.parent)}; }}",
        f"[ ! -s {there} ] || [ $(tail -c 1 {there} | wc -l) -eq 1 ] || "
        f"truncate -s $(($(wc -c <{there}) - $(tail -n 1 {there} | wc -c))) {there}",
        f"before=$(wc -c <{there})",
        f"cat >>{there}",
        f"[ $(wc -c <{there}) -eq $((before+{size})) ]",
        f"sync {there}",
    )


def rename(path: Path, to: Path) -> str:
    return strict(f"mv -fT {absolute(path)} {absolute(to)}", f"sync {absolute(to.parent)}")


def make_folder(path: Path, root: Path) -> str:
    return strict(_made(path, root))


def _made(path: Path, root: Path) -> str:
    below = path.relative_to(root).parts
    folders = " ".join(absolute(root.joinpath(*below[:count])) for count in range(1, len(below) + 1))
    top = absolute(root)
    return f"""[ -d {top} ] || {{ ( umask 022; mkdir -p {absolute(root.parent)} ) && mkdir {top}; }} || exit
for folder in {folders}; do [ -d "$folder" ] || mkdir "$folder" || exit
case $(stat -c %a "$folder") in *700) ;; *) chmod 700 "$folder" || exit;; esac; done"""


def names(folder: Path) -> str:
    """Tells `/<time>/<name>` of each: no name has a slash, whatever else it has."""
    there = absolute(folder)
    return strict(f"ls -d {there}/. >/dev/null", f'cd {there}; stat -c "/%y/%n" -- * .[!.]* ..?* 2>/dev/null; :')


def remove(path: Path) -> str:
    return strict(f"rm -rf {absolute(path)}")


def receive_file(path: Path, scratch: Path, size: int, mode: int) -> str:
    """Takes the content from stdin."""
    new = absolute(scratch)
    return _or_without(scratch, *_received(scratch, size), f"chmod {mode:o} {new}", f"sync {new}", _put(path, scratch))


def receive_folder(path: Path, scratch: Path, last: str) -> str:
    """Takes a tar from stdin, in which `last` is the last file: without it some are missing."""
    new, whole = absolute(scratch), absolute(scratch / last)
    return _or_without(
        scratch, f"mkdir {new}", f"cd {new}", "tar -xpof -", f"[ -e {whole} ]", f"rm -f {whole}", _put(path, scratch)
    )


def _put(path: Path, scratch: Path) -> str:
    """In place of what was there."""
    there, new, old = absolute(path), absolute(scratch), absolute(scratch.with_name(f"{scratch.name}.old"))
    return f"""if [ -d {there} ] && [ ! -L {there} ]
then mv -fT {there} {old} && mv -fT {new} {there} && rm -rf {old}
else mv -fT {new} {there}; fi"""


def free(path: Path) -> str:
    folders = " ".join(absolute(each) for each in (path, *path.parents))
    return strict(f'for each in {folders}; do [ -e "$each" ] || continue; df -Pk "$each"; exit; done')


def is_held(path: Path) -> str:
    """Says `held` if it is: proc_locks(5). One who waits has `->` before his `FLOCK`."""
    return strict(
        f"number=$(stat -L -c %i {absolute(path)} 2>/dev/null) && [ -r /proc/locks ] || exit 0",
        'grep "^[0-9]*: FLOCK " /proc/locks | grep -qF ":$number " && echo held; :',
    )


def hold(path: Path, size: int, mark: str) -> str:
    """Takes what the lock's holder says from stdin, and holds it until stdin ends. Tells with the mark how it went."""
    there = absolute(path)
    return strict(
        f"command -v flock >/dev/null || {{ echo {mark} missing >&2; false; }}",
        f": >>{there}",
        f"exec 9>>{there}",
        f"flock -n 9 || {{ echo {mark} held >&2; cat {there}; false; }}",
        f"head -c {size} >{there} 9>&-",
        f"echo {mark} got >&2",
        "cat >/dev/null",  # has the lock, too: a shell may become its last command
    )
