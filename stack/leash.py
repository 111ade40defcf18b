"""Become the child that was asked for, on a leash: known to the guard, and signalled when the parent dies.

Run as a script: `leash.py PIPE PARENT SIGNAL UID NICENESS -- COMMAND…`, where a UID of -1 keeps the present one.
Announcing itself before the exec leaves no moment in which a child exists that the guard does not know.
"""

import ctypes
import os
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_TRIES, _PAUSE_S = 20, 0.1


def yield_to_others(niceness: int) -> None:
    """Take less of a processor that others want too.

    A kernel with autogroups shares it among sessions, and by the niceness of a process only within its own: there the session's
    is set, which anybody may do ten times a second on the whole machine.
    """
    os.nice(niceness)
    for _ in range(_TRIES):
        try:
            Path("/proc/self/autogroup").write_text(str(niceness))
        except BlockingIOError:
            time.sleep(_PAUSE_S)
        except OSError:  # a kernel without them
            return
        else:
            return


def main() -> None:
    pipe, parent, number, uid, niceness = map(int, sys.argv[1:6])
    os.write(pipe, f"+{os.getpid()} {number}\n".encode())
    os.set_inheritable(pipe, False)
    if niceness:
        yield_to_others(niceness)
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    # After the change of uid, which would clear it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit("the parent died before the child began")
    os.execvp(sys.argv[7], sys.argv[7:])  # noqa: S606


if __name__ == "__main__":
    main()
