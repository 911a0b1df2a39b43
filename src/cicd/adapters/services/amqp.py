"""The first words of AMQP 0-9-1, as far as one has to talk to know that a broker lets one in.

https://www.rabbitmq.com/resources/specs/amqp0-9-1.pdf: 2.3 (frames), 4.2 (types), and class `connection`.
"""

import re
import socket
import struct
from io import BufferedRWPair

from cicd.adapters.services.place import Address

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, END = 1, 0xCE
START, START_OK, TUNE, TUNE_OK, OPEN, OPEN_OK, CLOSE = (
    (10, 10),
    (10, 11),
    (10, 30),
    (10, 31),
    (10, 40),
    (10, 41),
    (10, 50),
)
VERSION = re.compile(rb"\x07versionS(.{4})([\d.]+)", re.DOTALL)  # in the table of its properties
LONGEST = 1 << 17  # bytes of a frame before anything was agreed


class Refused(ValueError):
    """The broker said something else than what lets one in."""


def version_of(address: Address) -> tuple[int, ...] | None:
    """The version of the broker that lets this user into this virtual host; None when none does."""
    try:
        with socket.create_connection((address.host, address.port), timeout=2) as connection:
            connection.settimeout(5)
            with connection.makefile("rwb") as stream:
                return _opened(stream, address)
    except (OSError, ValueError, struct.error):
        return None


def _opened(stream: BufferedRWPair, address: Address) -> tuple[int, ...]:
    """Raises Refused, OSError, struct.error."""
    stream.write(HEADER)
    stream.flush()
    start = _expect(stream, START)
    login = f"\0{address.user}\0{address.password}".encode()
    _say(stream, START_OK, _long(b"") + _short(b"PLAIN") + _long(login) + _short(b"en_US"))
    tune = _expect(stream, TUNE)
    _say(stream, TUNE_OK, tune[:8])
    _say(stream, OPEN, _short(address.database.encode()) + _short(b"") + b"\0")
    _expect(stream, OPEN_OK)
    _say(stream, CLOSE, struct.pack(">H", 200) + _short(b"") + struct.pack(">HH", 0, 0))
    found = VERSION.search(start)
    return tuple(int(part) for part in found[2].decode().split(".") if part) if found else ()


def _short(text: bytes) -> bytes:
    return struct.pack(">B", len(text)) + text


def _long(text: bytes) -> bytes:
    return struct.pack(">I", len(text)) + text


def _say(stream: BufferedRWPair, method: tuple[int, int], arguments: bytes) -> None:
    payload = struct.pack(">HH", *method) + arguments
    stream.write(struct.pack(">BHI", METHOD, 0, len(payload)) + payload + bytes([END]))
    stream.flush()


def _expect(stream: BufferedRWPair, method: tuple[int, int]) -> bytes:
    """The arguments of the method that must come now."""
    kind, _, size = struct.unpack(">BHI", stream.read(7))
    if kind != METHOD or not 4 <= size <= LONGEST:
        raise Refused("no method")
    payload = stream.read(size + 1)
    if struct.unpack(">HH", payload[:4]) != method:
        raise Refused("another method")
    return payload[4:-1]
