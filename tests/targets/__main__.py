"""Whether the public site meets its targets, measured in a real browser: `make targets`.

Prints a line for each, and ends with status 1 if one is not met. The site runs on this machine
with production's settings, on SQLite, and compresses what docker-compose.yml has compressed. The
slow network doesn't slow down the connecting, nor is there TLS. One part alone:
`python -m tests.targets loading` (or pages).
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import django

from tests.browser import launched
from tests.services.environment import embedded
from tests.targets.report import Measure


def main() -> int:
    chosen = sys.argv[1:]
    with embedded(DJANGO_SETTINGS_MODULE="tests.targets.settings") as environment:
        os.environ.update(environment)
        # Playwright keeps an event loop in this thread, in which Django would refuse the database.
        os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
        django.setup()
        measures = []
        for measure in measured(chosen or ["loading", "pages"]):
            print(measure, flush=True)
            measures.append(measure)
    return 0 if all(measure.is_met for measure in measures) else 1


def measured(parts: list[str]) -> Iterator[Measure]:
    from django.core.management import call_command

    from tests.people import coming_week
    from tests.targets import loading, pages

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    week = coming_week()
    with launched() as browser, site() as origin:
        if "loading" in parts:
            url = f"{origin}{week.get_absolute_url()}"
            yield from loading.page_bytes(browser, url)
            yield from loading.register_is_usable(browser, url)
        if "pages" in parts:
            yield from pages.public_pages(browser, origin, week)


@contextmanager
def site() -> Iterator[str]:
    """The site in a thread of this process, so that pages in all states can be set up."""
    from django.test.testcases import LiveServerThread

    # In place of a handler for static files: WhiteNoise serves them, as in production.
    server = LiveServerThread("localhost", lambda application: application)  # type: ignore[arg-type]
    server.daemon = True
    server.start()
    server.is_ready.wait()
    if server.error:
        raise server.error
    try:
        yield f"http://localhost:{server.port}"
    finally:
        server.terminate()


if __name__ == "__main__":
    sys.exit(main())
