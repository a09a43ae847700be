"""The account kept in a file, so that it outlives the process."""

import dataclasses
import datetime as dt
import json
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .account import Instance, Meeting, Participant, Registrant, User
from .server import StandIn

# At most so often, in seconds.
WRITE_EVERY = 0.3


class StateFile:
    """Keeps the users, meetings and registrants of a stand-in in a JSON file while in use.

    Raises ValueError when the file is not one of its own.
    """

    def __init__(self, path: Path, stand_in: StandIn) -> None:
        self.path = path
        self.stand_in = stand_in
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._writer = threading.Thread(target=self._write_changes, daemon=True)

    def __enter__(self) -> Self:
        if self.path.exists():
            self._load()
        self.stand_in.on_change = self._changed.set
        self._writer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._changed.set()
        self._writer.join()
        self._write()

    def _write_changes(self) -> None:
        while not self._ended.wait(WRITE_EVERY):
            self._changed.wait()
            self._write()

    def _write(self) -> None:
        """Whole or not at all."""
        with self.stand_in.lock:
            self._changed.clear()
            account = self.stand_in.account
            state = {
                "users": [dataclasses.asdict(user) for user in account.users],
                "meetings": [dataclasses.asdict(each) for each in account.meetings.values()],
            }
            written = json.dumps(state, default=dt.datetime.isoformat)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(written)
        unfinished.replace(self.path)

    def _load(self) -> None:
        account = self.stand_in.account
        try:
            state = json.loads(self.path.read_text())
            users = [User(**user) for user in state["users"]]
            meetings = [_meeting(each) for each in state["meetings"]]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{self.path} is not a stand-in's state.") from error
        account.users, account.owner = users, users[0]
        account.meetings = {meeting.id: meeting for meeting in meetings}


def _meeting(kept: dict[str, Any]) -> Meeting:
    registrants = {key: Registrant(**_timed(each)) for key, each in kept["registrants"].items()}
    instances = [_instance(each) for each in kept["instances"]]
    return Meeting(**_timed(kept) | {"registrants": registrants, "instances": instances})


def _instance(kept: dict[str, Any]) -> Instance:
    participants = [Participant(**_timed(each)) for each in kept["participants"]]
    return Instance(**_timed(kept) | {"participants": participants})


def _timed(kept: dict[str, Any]) -> dict[str, Any]:
    """With its moments as such."""
    return {
        name: dt.datetime.fromisoformat(value)
        if value and name.endswith(("_time", "_at"))
        else value
        for name, value in kept.items()
    }
