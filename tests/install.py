"""Get what the tests need and this machine lacks: `python -m tests.install`.

Says nothing when everything is there. Ends with words that say how to get what it could not.
"""

import functools
import os
import platform
import subprocess
import sys

from tests.browser import NoBrowser, chromium
from tests.services.database import redis_program
from tests.services.process import Unavailable

CHROMIUM_PACKAGES = ("chromium", "fonts-dejavu", "fonts-noto-color-emoji")


def run(*command: str) -> bool:
    print("+", *command, flush=True)
    return subprocess.run(command).returncode == 0


@functools.cache
def apt_get() -> bool:
    """Whether this is Debian and we may install its packages; their list is fetched once."""
    try:
        system = platform.freedesktop_os_release()["ID"]
    except OSError:
        return False
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    return os.geteuid() == 0 and system == "debian" and run("apt-get", "update", "-qq")


def install_chromium() -> None:
    """Debian's own as root there, else Playwright's. Raises NoBrowser."""
    try:
        chromium()
    except NoBrowser:
        packages = ("--no-install-recommends", *CHROMIUM_PACKAGES)
        if not (apt_get() and run("apt-get", "install", "-qq", *packages)):
            # As root it may add the libraries that its Chromium needs.
            libraries = ["--with-deps"] if os.geteuid() == 0 and sys.platform == "linux" else []
            run(sys.executable, "-m", "playwright", "install", *libraries, "chromium")
        chromium()


def install_redis() -> None:
    """Where the packages of requirements-dev.txt carry none: Debian's. Raises Unavailable."""
    try:
        redis_program()
    except Unavailable:
        if apt_get():
            run("apt-get", "install", "-qq", "--no-install-recommends", "redis-server")
        redis_program()


if __name__ == "__main__":
    try:
        if not os.environ.get("REDIS_URL"):
            install_redis()
        install_chromium()
    except (NoBrowser, Unavailable) as error:
        sys.exit(str(error))
