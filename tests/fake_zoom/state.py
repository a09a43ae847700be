"""Keeps the account in a file, so that it survives a restart."""

import dataclasses
import datetime as dt
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .records import Instance, Meeting, Participant, Registrant, User
from .zoom import FakeZoom

# The minimum time between two writes.
WRITE_EVERY_SECONDS = 0.3


class StateFile:
    """A context manager that loads the account from a JSON file and saves every change.

    Raises ValueError if the file has another format.
    """

    def __init__(self, path: Path, zoom: FakeZoom) -> None:
        self.path = path
        self.zoom = zoom
        self._changed = threading.Event()
        self._stopped = threading.Event()
        self._writer = threading.Thread(target=self._write_changes, daemon=True)

    def __enter__(self) -> Self:
        if self.path.exists():
            self._load()
        self.zoom.on_change = self._changed.set
        self._writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._changed.set()
        self._writer.join()
        self._write()

    def _write_changes(self) -> None:
        while not self._stopped.wait(WRITE_EVERY_SECONDS):
            self._changed.wait()
            self._write()

    def _write(self) -> None:
        """Write to a temporary file and rename it, so that the file is always complete."""
        with self.zoom.lock:
            self._changed.clear()
            account = self.zoom.account
            state = {
                "users": [dataclasses.asdict(user) for user in account.users],
                "meetings": [dataclasses.asdict(each) for each in account.meetings.values()],
            }
            text = json.dumps(state, default=dt.datetime.isoformat)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(text)
        temporary.replace(self.path)

    def _load(self) -> None:
        account = self.zoom.account
        try:
            state = json.loads(self.path.read_text())
            users = [User(**user) for user in state["users"]]
            meetings = [_meeting(each) for each in state["meetings"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is not the state of a fake Zoom.") from error
        account.users, account.owner = users, users[0]
        account.meetings = {meeting.id: meeting for meeting in meetings}


def _meeting(data: dict[str, Any]) -> Meeting:
    registrants = {
        key: Registrant(**_with_times(each)) for key, each in data["registrants"].items()
    }
    instances = [_instance(each) for each in data["instances"]]
    return Meeting(**_with_times(data) | {"registrants": registrants, "instances": instances})


def _instance(data: dict[str, Any]) -> Instance:
    participants = [Participant(**_with_times(each)) for each in data["participants"]]
    return Instance(**_with_times(data) | {"participants": participants})


def _with_times(data: dict[str, Any]) -> dict[str, Any]:
    """Parse the values that are times."""
    return {
        name: dt.datetime.fromisoformat(value)
        if value and name.endswith(("_time", "_at"))
        else value
        for name, value in data.items()
    }
