"""The choice of ports."""

import socket

from stack.ports import LOOPBACK, choose, is_free


def test_free_preferred_port_is_taken(unused_tcp_port: int) -> None:
    """A preferred port that nobody has is the chosen one."""
    assert choose(unused_tcp_port) == (unused_tcp_port,)


def test_taken_port_gives_way_to_a_free_one() -> None:
    """A port in use is replaced by another that is free."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        (chosen,) = choose(port)
        assert not is_free(port)
    assert chosen != port
    assert is_free(chosen)


def test_any_port_is_none_that_the_kernel_lends() -> None:
    """They lie below 32768, where Linux begins to lend ports to outgoing connections unless told otherwise."""
    assert max(choose(*[0] * 20)) < 32_768


def test_ports_chosen_together_differ(unused_tcp_port: int) -> None:
    """One preferred port asked for twice, and any ports beside it, are all different."""
    assert len(set(choose(unused_tcp_port, unused_tcp_port, 0, 0))) == 4
