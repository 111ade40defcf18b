"""Become the child that was asked for, on a leash: known to the guard, and signalled when the parent dies.

Run as a script: `leash.py PIPE PARENT SIGNAL UID -- COMMAND…`, where a UID of -1 keeps the present one.
Announcing itself before the exec leaves no moment in which a child exists that the guard does not know.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main() -> None:
    pipe, parent, number, uid = map(int, sys.argv[1:5])
    os.write(pipe, f"+{os.getpid()} {number}\n".encode())
    os.set_inheritable(pipe, False)
    if uid >= 0:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    # After the change of uid, which would clear it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        sys.exit("the parent died before the child began")
    os.execvp(sys.argv[6], sys.argv[6:])  # noqa: S606


if __name__ == "__main__":
    main()
