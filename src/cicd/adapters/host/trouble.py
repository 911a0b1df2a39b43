"""What went wrong on another machine, from what ssh and the programs there say. Pure."""

import errno
import os
import re
from pathlib import Path

from cicd.errors import CicdError, HostRefused, HostUnreachable

NUMBERS = (
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EEXIST, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ENOTDIR),
    *(errno.EISDIR, errno.ENOTEMPTY, errno.ENAMETOOLONG, errno.EIO, errno.EFBIG, errno.ELOOP, errno.EBUSY, errno.ENXIO),
)
# What programs say where the C library is asked, and what dash and busybox have of their own.
SAID = {os.strerror(number).lower(): number for number in NUMBERS} | {
    "no such file": errno.ENOENT,
    "directory nonexistent": errno.ENOENT,
    "nonexistent directory": errno.ENOENT,
}
PHRASE = re.compile(
    rf": ({'|'.join(sorted(map(re.escape, SAID), key=len, reverse=True))})$", re.MULTILINE | re.IGNORECASE
)
SHORT = re.compile(r"Wrote only \d+ of \d+ bytes")  # tar, of a disk that takes no more
# What may be over when it is tried again: nothing has run there yet.
PASSING = re.compile(
    r"timed out|Connection refused|Connection reset|Connection closed by|No route to host|unreachable|Temporary failure"
    r"|closed by remote host|did not answer"
)
NO_FALLBACK = r"Connection closed by UNKNOWN port \d+\r?\n?"  # of a session whose connection is gone: it makes none


def os_error(said: str, path: Path, host: str) -> OSError:
    """The error that a failed program there would have been here; of the class that belongs to it."""
    found = PHRASE.findall(said)
    number = SAID[found[-1].lower()] if found else errno.ENOSPC if SHORT.search(said) else errno.EIO
    told = os.strerror(number) if number != errno.EIO else said.strip()[-300:] or "it failed and said nothing"
    return OSError(number, told, f"{path} on {host}")


def explain(said: str, host: str) -> CicdError:
    """Why no connection could be made: what, the likely cause, the next step."""
    last = " / ".join(said.strip().splitlines()[-3:])[-400:] or "it said nothing"
    name = re.sub(r"^ssh://([^@]*@)?", "", host)
    for pattern, kind, cause, next_step in CAUSES:
        if re.search(pattern, said, re.IGNORECASE):
            return kind(f"{host} cannot be used: {last}", cause=cause, next_step=next_step.replace("HOST", name))
    return HostUnreachable(
        f"{host} cannot be used: {last}", cause="see what ssh says", next_step=f"try `ssh {host}` from here"
    )


KNOW = (
    "`ssh-keyscan -p PORT HOST` shows its keys: compare their fingerprints (`ssh-keygen -lf -`) with those that whoever"
    " runs it reads there (`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub`), and only if they are the same add the"
    " lines to known_hosts"
)
# The first that is found counts: one trouble makes ssh say several things.
CAUSES: tuple[tuple[str, type[HostRefused] | type[HostUnreachable], str, str], ...] = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|revoked host key|REVOKED HOST KEY",
        HostRefused,
        "its host key is not the one that we know: it was set up anew, or somebody else answers in its place",
        f"do not connect before you know why. {KNOW}, in place of the old ones (`ssh-keygen -R HOST`)",
    ),
    (
        r"host key is known for|Host key verification failed|No matching host key fingerprint",
        HostRefused,
        "its host key is not known here, and no key is ever taken unseen",
        KNOW,
    ),
    (
        r"Load key .*(libcrypto|invalid format)",
        HostRefused,
        "the private key is damaged; one that was pasted into a secret must keep its line ends, the last one too",
        "give the key file's whole text again",
    ),
    (
        r"UNPROTECTED PRIVATE KEY FILE|Bad owner or permissions",
        HostRefused,
        "ssh takes no file that others can read or write",
        "`chmod 600` the file that ssh names",
    ),
    (
        r"Too many authentication failures",
        HostRefused,
        "the agent offers more keys than the host lets us try",
        "name the right one: `IdentityFile` and `IdentitiesOnly yes` for HOST in ~/.ssh/config",
    ),
    (
        r"Permission denied \(",
        HostRefused,
        "our key is not among the user's ~/.ssh/authorized_keys there, needs a passphrase, or it is the wrong user",
        "put the public key there, and try `ssh -o BatchMode=yes` to HOST from here",
    ),
    (
        r"Could not resolve hostname",
        HostUnreachable,
        "the name is misspelled, or its name server does not answer",
        "check `hosts` in .github/cicd.yml; `getent hosts` shows what HOST leads to",
    ),
    (
        r"timed out|not responding|did not answer",
        HostUnreachable,
        "it is down, far too slow, or a firewall drops what we send",
        "see whether HOST is up and lets this machine's address in",
    ),
    (
        r"Connection refused",
        HostUnreachable,
        "no sshd listens there",
        "start sshd on HOST, or give its port: ssh://user@host:port",
    ),
    (
        r"No route to host|unreachable",
        HostUnreachable,
        "no network leads there from here",
        "see whether this machine needs a VPN, or a jump host (`ProxyJump` for HOST in ~/.ssh/config)",
    ),
    (
        r"not available|nologin|sftp|no shell",
        HostRefused,
        "the user has no shell there, or may only copy files",
        "give the user of HOST a POSIX shell",
    ),
    (
        r"Session open refused",
        HostRefused,
        "its sshd lets one connection open too few sessions",
        "set `MaxSessions 10` (which is its default) in sshd_config of HOST",
    ),
    (
        r"Connection (reset|closed)|closed by remote host",
        HostUnreachable,
        "sshd there ends connections: too many at once (MaxStartups), or it does not let this address in",
        "see the log of sshd on HOST",
    ),
)
