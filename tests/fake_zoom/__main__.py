"""Run the fake Zoom until Ctrl-C: python -m tests.fake_zoom."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from django.conf import settings

from tests.fake_zoom import FakeZoom
from tests.fake_zoom.limits import PLANS
from tests.fake_zoom.state import keep_in_file


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fake_zoom",
        description="Run a fake Zoom, with the ZOOM_... variables and the SITE_URL of the site.",
    )
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--plan", choices=PLANS, default="business")
    parser.add_argument("--state", type=Path, help="a file that keeps the account")
    options = parser.parse_args()
    zoom = FakeZoom(
        port=options.port,
        plan=options.plan,
        account_id=required("ZOOM_ACCOUNT_ID"),
        client_id=required("ZOOM_CLIENT_ID"),
        client_secret=required("ZOOM_CLIENT_SECRET"),
        webhook_secret=required("ZOOM_WEBHOOK_SECRET"),
        webhook_url=f"{required('SITE_URL').rstrip('/')}/webhooks/zoom/",
    )
    # Django's defaults, whatever DJANGO_SETTINGS_MODULE says.
    settings.configure(USE_I18N=False)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        if options.state:
            keep_in_file(zoom, options.state)
        with zoom:
            print(f"The fake Zoom is running at {zoom.site}/", flush=True)
            stop.wait()
    except (OSError, ValueError) as error:
        sys.exit(str(error))


def required(name: str) -> str:
    if value := os.environ.get(name):
        return value
    sys.exit(f"{name} is not set. The fake Zoom needs the same value as the site.")


if __name__ == "__main__":
    main()
