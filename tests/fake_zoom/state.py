"""Keeps the account in a file, so that it survives a restart."""

import dataclasses
import datetime as dt
import functools
import json
from pathlib import Path
from typing import Any

from tests.fake_zoom.account import Account
from tests.fake_zoom.records import Instance, Meeting, Participant, Registrant, User
from tests.fake_zoom.zoom import FakeZoom


def keep_in_file(zoom: FakeZoom, path: Path) -> None:
    """Load the account from a JSON file, if there is one, and save it there after each change.

    Raises ValueError if the file has another format.
    """
    if path.exists():
        _load(path, zoom.account)
    zoom.on_change = functools.partial(_save, path, zoom.account)
    zoom.on_change()


def _save(path: Path, account: Account) -> None:
    state = {
        "users": [dataclasses.asdict(each) for each in account.users],
        "meetings": [dataclasses.asdict(each) for each in account.meetings.values()],
    }
    # Renaming it when it is complete leaves no half-written file.
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(state, default=dt.datetime.isoformat))
    temporary.replace(path)


def _load(path: Path, account: Account) -> None:
    try:
        state = json.loads(path.read_text())
        users = [User(**each) for each in state["users"]]
        meetings = [_meeting(each) for each in state["meetings"]]
    except (ValueError, LookupError, TypeError) as error:
        raise ValueError(f"{path} is not the state of a fake Zoom.") from error
    account.users, account.owner = users, users[0]
    account.meetings = {meeting.id: meeting for meeting in meetings}


def _meeting(data: dict[str, Any]) -> Meeting:
    registrants = {
        email: Registrant(**_with_times(each)) for email, each in data["registrants"].items()
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
