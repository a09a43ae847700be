"""Gives a process a wrong clock: Python imports this at its start if this folder is in PYTHONPATH.

The file that CLOCK_AHEAD names says by how many seconds the clock is ahead, and may change.
"""

import datetime as dt
import os
import threading
import time
from pathlib import Path

import time_machine


def follow(file: Path) -> None:
    travel, ahead = None, 0.0
    while True:
        if (wanted := float(file.read_text() or ahead)) != ahead:
            if travel:
                travel.stop()
            ahead = wanted
            travel = time_machine.travel(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=ahead))
            travel.start()
            file.with_suffix(".set").write_text(str(ahead))
        time.sleep(0.01)


if "CLOCK_AHEAD" in os.environ:
    path = Path(os.environ["CLOCK_AHEAD"])
    threading.Thread(target=follow, args=(path,), daemon=True).start()
    while path.read_text() != "0" and not path.with_suffix(".set").exists():
        time.sleep(0.01)
