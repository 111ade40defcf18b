"""The program between a worker and one stage: it starts the stage and sees to it that nothing of it outlives either.

It starts as `python -I -S`: there is nothing to import but the standard library and `processes`. It reads from
standard input one line, the job, then bytes: `g` starts the stage, any byte renews the worker's lease, the end of the
pipe means the worker is gone. It answers on standard output with one line before the start and one after the end.
Standard error is the stage's output. When it ends, no process of the stage is left.
"""

import ctypes
import json
import math
import os
import resource
import select
import signal
import sys
import time
from typing import Any, NoReturn

from adapters.runners.processes import descendants, kill_all_of, kill_tree, send, start_time, threads_of

_PDEATHSIG, _SUBREAPER, _NO_NEW_PRIVILEGES = 1, 36, 38
_LONGEST_JOB = 4 * 1024 * 1024
_libc = ctypes.CDLL(None, use_errno=True)


class Supervision:
    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.stage: int | None = None
        self.status: int | None = None
        self.why: str | None = None
        self.started_at = self.started = self.finished = 0.0
        self.deadline = math.inf
        self.renew()
        self.wake = arm_signals(self)

    def renew(self) -> None:
        self.lease_ends = now() + self.job["lease"]

    def serve(self) -> dict[str, Any]:
        while self.why is None:
            self.listen()
            self.reap()
            self.judge()
        return self.end()

    def listen(self) -> None:
        wait = min(self.deadline, self.lease_ends) - now()
        ready, _, _ = select.select([0, self.wake], [], [], max(0, min(wait, 1)))
        if self.wake in ready:
            os.read(self.wake, 4096)
        if 0 in ready:
            self.obey(os.read(0, 4096))

    def obey(self, orders: bytes) -> None:
        if not orders:
            self.why = "worker"
            return
        # A byte that lay in the pipe while nobody read it must not revive a lease that has run out.
        if now() < self.lease_ends:
            self.renew()
            if b"g" in orders and self.stage is None:
                self.start()

    def start(self) -> None:
        self.started_at, self.started = time.time(), now()
        self.deadline = self.started + self.job["timeout"]
        self.stage = os.fork()
        if self.stage == 0:
            become(self.job)

    def reap(self) -> bool:
        """Collect whoever ended, True while anybody is left. As subreaper we inherit every orphan of the stage."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.stage:
                self.status, self.finished = status, now()

    def judge(self) -> None:
        moment = now()
        if self.status is not None:
            self.why = "exited"
        elif moment >= self.deadline:
            self.why = "timeout"
        elif moment >= self.lease_ends:
            self.why = "lease"

    def end(self) -> dict[str, Any]:
        if self.why != "exited":
            self.ask_to_end()
        while self.reap():
            kill_tree(self.job["uid"])
            time.sleep(0.002)
        return self.account()

    def ask_to_end(self) -> None:
        for pid in descendants():
            send(pid, signal.SIGTERM)
        patience = now() + self.job["grace"]
        while self.reap() and now() < patience:
            time.sleep(0.01)

    def account(self) -> dict[str, Any]:
        if self.stage is None:
            return {"why": self.why}
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {
            "why": self.why,
            "status": self.status,
            "started_at": self.started_at,
            "wall": self.finished - self.started,
            "cpu": used.ru_utime + used.ru_stime,
            "peak_memory": used.ru_maxrss * 1024,
        }


def now() -> float:
    """Monotonic seconds that go on while the host sleeps: other hosts count the lease on meanwhile."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def arm_signals(supervision: Supervision) -> int:
    """A pipe that wakes the loop when a child ends or somebody asks us to."""
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    def give_up(*_: object) -> None:
        supervision.why = supervision.why or "worker"

    for asked in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(asked, give_up)
    return wake


def become(job: dict[str, Any]) -> NoReturn:
    """Turn this forked child into the stage; it never returns."""
    try:
        os.setsid()
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        os.closerange(3, 4096)
        prefer_as_victim()
        limit(job["limits"], job["uid"])
        if job["uid"] is not None:
            os.setgroups([])
            os.setresgid(job["uid"], job["uid"], job["uid"])
            os.setresuid(job["uid"], job["uid"], job["uid"])
        # After the change of user, which clears it. A set-uid program would take the stage out of our reach.
        prctl(_PDEATHSIG, signal.SIGKILL)
        prctl(_NO_NEW_PRIVILEGES, 1)
        os.umask(0o077)
        os.chdir(job["cwd"])
        os.execvpe(job["argv"][0], job["argv"], job["env"])  # noqa: S606 - this is where a stage starts, without a shell
    except OSError as refused:
        os.write(2, f"suture: cannot start {job['argv'][0]!r}: {refused.strerror}\n".encode())
    finally:
        os._exit(127)


def limit(limits: dict[str, int], uid: int | None) -> None:
    for name, wanted in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        # The kernel counts all processes of a user, and an ordinary user has others besides the stage.
        soft = wanted + (threads_of(os.getuid()) if name == "NPROC" and uid is None else 0)
        hard = resource.getrlimit(kind)[1]
        soft = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(kind, (soft, soft))


def prefer_as_victim() -> None:
    """When memory runs out the stage goes first, never its supervisor."""
    score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    os.write(score, b"500")
    os.close(score)


def prctl(option: int, value: int) -> None:
    if _libc.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0))) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option} refused")


def read_job() -> dict[str, Any]:
    line = b""
    while not line.endswith(b"\n"):
        part = os.read(0, 65536)
        if not part or len(line) > _LONGEST_JOB:
            sys.exit(2)
        line += part
    job: dict[str, Any] = json.loads(line)
    return job


def report(fact: dict[str, Any]) -> None:
    try:
        os.write(1, json.dumps(fact).encode() + b"\n")
    except BrokenPipeError:
        return


def main() -> None:
    job = read_job()
    prctl(_SUBREAPER, 1)
    supervision = Supervision(job)
    if job["uid"] is not None:
        # Whoever a supervisor that was itself killed left behind.
        kill_all_of(job["uid"])
    report({"pid": os.getpid(), "start_time": start_time(os.getpid())})
    report(supervision.serve())
