"""Start servers and workers as processes of their own, and wait for them."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

BASE_DIR = Path(__file__).resolve().parents[2]

# Runs in the child: drops root where asked, has Linux send a last signal when the parent
# dies (even by SIGKILL), and becomes the command. A preexec_fn could deadlock beside threads.
LAUNCHER = """
import ctypes, os, sys
user, last_signal, *command = sys.argv[1:]
if int(user):
    os.setgroups([])
    os.setgid(int(user))
    os.setuid(int(user))
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(last_signal), 0, 0, 0)
os.execv(command[0], command)
"""


class Unavailable(Exception):
    """A server that this machine lacks; the message says how to get it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])


def eventually(
    condition: Callable[[], Any], what: str, timeout: float = 20, every: float = 0.02
) -> Any:
    """Wait until `condition()` is true and return it; after `timeout` seconds say `what` failed.

    If the machine stands still meanwhile, as virtual ones do, that counts as a second.
    """
    waited, looked_at = 0.0, time.monotonic()
    while not (result := condition()):
        if waited > timeout:
            raise TimeoutError(f"not within {timeout:g} s: {what}")
        time.sleep(every)
        waited += min(time.monotonic() - looked_at, max(1, every))
        looked_at = time.monotonic()
    return result


class Process:
    """A server or worker in a process group of its own, which logs to a file.

    Start it from the main thread: Linux sends `last_signal` when the starting thread ends.
    """

    def __init__(
        self,
        *command: str | Path,
        log: Path,
        environment: dict[str, str] | None = None,
        user: int = 0,
        last_signal: signal.Signals = signal.SIGKILL,
        folder: Path = BASE_DIR,
    ) -> None:
        self.log_file = log
        launcher = [sys.executable, "-ISc", LAUNCHER, str(user), str(int(last_signal))]
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [*launcher, *map(str, command)],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # So that Ctrl-C reaches pytest alone, which then stops this in order.
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    def children(self) -> list[int]:
        """The processes that it started, by ID."""
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.pid)], capture_output=True, check=False
        )
        return list(map(int, listed.stdout.split()))

    def is_running(self) -> bool:
        return self._process.poll() is None

    def ready_when(self, condition: Callable[[], Any], timeout: float = 30) -> None:
        """Wait until the process answers; should it end instead, raise with its log."""

        def ready_or_ended() -> bool:
            return bool(condition()) or not self.is_running()

        try:
            eventually(ready_or_ended, "ready", timeout)
        except TimeoutError:
            self.kill()
        if not self.is_running():
            raise RuntimeError(f"{self._process.args!r} did not start:\n{self.log}")

    def wait_for_log(self, pattern: str, timeout: float = 20) -> re.Match[str]:
        """Wait until the log holds `pattern`, a regular expression for one line."""
        found = eventually(
            lambda: re.search(pattern, self.log, re.MULTILINE) or not self.is_running(),
            f"{pattern!r} in the log:\n{self.log}",
            timeout,
        )
        if found is True:
            raise RuntimeError(f"the process ended:\n{self.log}")
        return cast("re.Match[str]", found)

    def wait(self, timeout: float = 60) -> int:
        """Wait until it has ended by itself, and return its exit status."""
        return self._process.wait(timeout)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 20) -> None:
        """Ask it to end; kill the whole group when it does not within `timeout` seconds."""
        if self.is_running():
            self._process.send_signal(how)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """SIGKILL the process and all that it started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()


# The whole environment


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="strategyweek-"))
    try:
        # Another user, which PostgreSQL runs as, passes through but sees nothing.
        folder.chmod(0o711)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
