"""The door of a session: closed, open, over, and when to knock again."""

import datetime as dt
import enum
import math
from dataclasses import dataclass

from events.models import Session

# A waiting page asks again at least this often, so that it learns of a session moved earlier.
LONGEST_WAIT = 300
RETRY_WITHOUT_LINK = 15
# The page's script knocks within two seconds of the opening, everyone at another moment.
GRACE = 2
# A session may run over: for a while its link stays at hand for whoever dropped out.
OVERRUN = dt.timedelta(hours=1)


class State(enum.StrEnum):
    WAITING = "waiting"
    NO_LINK = "no link"
    OPEN = "open"
    ENDED = "ended"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class Door:
    """Where a session stands at one moment; `seconds` is the time until its doors open."""

    session: Session
    state: State
    now: dt.datetime
    seconds: int

    @property
    def started(self) -> bool:
        return self.now >= self.session.starts_at

    @property
    def ask_again_after(self) -> int | None:
        """Seconds until the page should look again; None when there is nothing to wait for."""
        if self.state == State.WAITING:
            return min(self.seconds + GRACE, LONGEST_WAIT)
        return RETRY_WITHOUT_LINK if self.state == State.NO_LINK else None

    @property
    def overrun_url(self) -> str:
        """The Zoom link of a session that has just ended, should it still be going."""
        recently = self.now < self.session.ends_at + OVERRUN
        return self.session.join_url if self.state == State.ENDED and recently else ""


def door(session: Session, now: dt.datetime) -> Door:
    """The state of a session's door at an (aware) moment."""
    seconds = max(0, math.ceil((session.doors_open_at - now).total_seconds()))
    if session.is_cancelled:
        state = State.CANCELLED
    elif now >= session.ends_at:
        state = State.ENDED
    elif seconds:
        state = State.WAITING
    elif not session.join_url:
        state = State.NO_LINK
    else:
        state = State.OPEN
    return Door(session=session, state=state, now=now, seconds=seconds)
