"""A port of this machine's loopback, on the loopback of a host as well: so an image has one name everywhere."""

import contextlib
import ctypes
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
CHUNK = 1 << 18


@dataclass
class Relay:
    """Passes on what is said to a port. `cut`: it ends each connection at once."""

    listener: socket.socket
    port: int
    cut: bool = False

    @classmethod
    def start(cls, pid: int, port: int) -> "Relay":
        """Listen on the loopback of the network that the process is in, and ask the same port of ours."""
        with _inside(pid):
            listener = socket.create_server(("127.0.0.1", port), backlog=64)
        made = cls(listener, port)
        threading.Thread(target=made._serve, daemon=True).start()
        return made

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                asked, _ = self.listener.accept()
                threading.Thread(target=self._pass_on, args=(asked,), daemon=True).start()

    def _pass_on(self, asked: socket.socket) -> None:
        with asked, contextlib.suppress(OSError):
            if self.cut:
                return
            with socket.create_connection(("127.0.0.1", self.port)) as answers:
                back = threading.Thread(target=self._copy, args=(answers, asked), daemon=True)
                back.start()
                self._copy(asked, answers)
                back.join()

    def _copy(self, source: socket.socket, to: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while not self.cut and (part := source.recv(CHUNK)):
                to.sendall(part)
        with contextlib.suppress(OSError):
            to.shutdown(socket.SHUT_WR)


@contextmanager
def _inside(pid: int) -> Iterator[None]:
    """This thread, and no other, is in the network of a process. (os.setns came with Python 3.12.)"""
    with open("/proc/thread-self/ns/net") as here, open(f"/proc/{pid}/ns/net") as there:
        _enter(there.fileno())
        try:
            yield
        finally:
            _enter(here.fileno())


def _enter(network: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(network, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
