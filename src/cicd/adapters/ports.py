"""Whether a port can be listened on."""

import socket

import psutil

from cicd.errors import PortInUse

HOST = "127.0.0.1"


def require_free(port: int, what: str) -> None:
    """Raises PortInUse, with who has the port where that can be seen."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise PortInUse(
                f"Port {port}, which {what} needs, cannot be used: {error.strerror}",
                cause=_owner(port),
                next_step="stop that program, or give another port under environments.<name>.ports",
            ) from error


def _owner(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            here = connection.laddr and connection.laddr.port == port
            if here and connection.status == psutil.CONN_LISTEN and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()}) listens on it"
    except psutil.Error:
        pass
    return "another program listens on it"
