"""Processes of ours: a folder and logs of their own, free ports, and an end for each of them whatever happens."""
import contextlib
import ctypes
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from beside import machine

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None)


class Missing(Exception):
    """A program that a path or a load needs is not installed."""


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            raise Missing(f"{program} is not installed (deploy/install-deps --bench)")


def wait_for(what, condition, limit_s=150, step_s=0.02):
    end = time.monotonic() + limit_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit_s} s: {what}")
        time.sleep(step_s)


def listens(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


class Workshop:
    """The folder and the processes of one run. Use it in a `with`: it ends what it started, and nothing else."""

    def __init__(self, pin, keep, first=False, binaries=""):
        self.folder = tempfile.mkdtemp(prefix="nw-bench.")
        self.binaries = binaries  # the build's folder of programs
        self._keep, self._first, self._started = keep, first, []
        cores = sorted(os.sched_getaffinity(0))
        half = len(cores) // 2 or 1
        # With --pin: load and origin on some cores, what is measured on the others.
        self.outside = set(cores[:half]) if pin else None
        self.measured = set(cores[half:] or cores) if pin else None

    def __enter__(self):
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1)  # what a daemon leaves behind comes to us
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        signal.signal(signal.SIGINT, lambda *_: sys.exit(130))  # even where a shell had it ignored
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return self

    def __exit__(self, *_):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for process in reversed(self._started):
            self._end(process)
        for pid in machine.tree(os.getpid())[1:]:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if self._keep:
            print(f"kept {self.folder}", file=sys.stderr)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _end(process):
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def cores(self, measured):
        return self.measured if measured else self.outside

    def start(self, name, command, measured=True):
        """A process until the end of the run, with NAME.log; its Popen."""
        cores = self.cores(measured)
        with open(self.path(f"{name}.log"), "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
                                       preexec_fn=lambda: self.in_child(cores))
        self._started.append(process)
        return process

    def in_child(self, cores):
        os.setsid()  # Ctrl-C comes to us, and we end them in order
        if self._first:
            machine.prefer([os.getpid()])
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if cores:
            os.sched_setaffinity(0, cores)

    def end(self, process):
        self._started.remove(process)
        self._end(process)

    def run(self, command, limit_s):
        """A load until its end; its output. The cores are those of what is not measured."""
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, cwd=self.folder,
                              stdin=subprocess.DEVNULL, preexec_fn=lambda: self.in_child(self.outside))
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
        return done.stdout

    def tool(self, name):
        """A program of tests/bench that the build made."""
        found = os.path.join(self.binaries, "..", "tests", name)
        if not os.path.exists(found):
            raise Missing(f"{found} is not built")
        return found

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    @staticmethod
    def ports(count):
        """Free ports of loopback that the system gives to nobody who asks for any."""
        held = []
        while len(held) < count:
            s = socket.socket()
            try:
                s.bind(("127.0.0.1", random.randrange(12000, 31000)))
                held.append(s)
            except OSError:
                s.close()
        found = [s.getsockname()[1] for s in held]
        for s in held:
            s.close()
        return found
