"""Choose a TCP port on loopback: the preferred one when it is free, else any."""

import random
import socket
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"
_QUIET = range(20_000, 32_000)
"""Below those that the kernel lends to outgoing connections: one of them could take a port before its server binds."""
_GUESSES = 50


def choose(*preferred: int) -> tuple[int, ...]:
    """One free port for each preferred one, in order, all different; 0 stands for "any".

    The ports are free when this returns. Nothing keeps them so: whoever binds late may still lose the race.
    """
    with ExitStack() as held:
        return tuple(_bind(held, port) for port in preferred)


def is_free(port: int) -> bool:
    with ExitStack() as held:
        return _try(held, port) == port


def _bind(held: ExitStack, preferred: int) -> int:
    guesses = (preferred,) if preferred else ()
    for port in (*guesses, *random.sample(_QUIET, _GUESSES)):
        if found := _try(held, port):
            return found
    return _try(held, 0)


def _try(held: ExitStack, port: int) -> int:
    """The bound port, kept until `held` closes, or 0 when somebody else has it."""
    listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((LOOPBACK, port))
        listener.listen(1)
    except OSError:
        return 0
    return int(listener.getsockname()[1])
