"""The meeting behind a join link, as a participant sees it."""

from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .account import Instance, Participant, Registrant
from .listening import Answer, Asked
from .markup import card, message, page, see, when

if TYPE_CHECKING:
    from .server import StandIn

# A guest says who they are; whoever has a personal link need not.
WHO = """
<label>Your name <input name="name" required autocomplete="name"></label>
<label>Your email <input name="email" type="email" autocomplete="email"></label>"""


def show(stand_in: "StandIn", asked: Asked, kind: str, meeting_id: str) -> Answer:
    """Who you are, and a button that lets you in or out. Raises CannotJoin."""
    with stand_in.lock:
        registrant = _let_in(stand_in, asked, kind, meeting_id)
        meeting = stand_in.account.meeting(meeting_id)
        stay = _stay(meeting.live, asked)
        said, fields = _choice(meeting.live, stay, registrant, was="in" in asked.query)
    body = f"""
<h1>{escape(meeting.topic)}</h1>
<p>{when(meeting)}</p>
{_person(registrant) if registrant else ""}
<p>{said}</p>
<form method="post">{fields}</form>"""
    return page(meeting.topic, card(body), narrow=True)


def enter(stand_in: "StandIn", asked: Asked, kind: str, meeting_id: str) -> Answer:
    """Join, leave, or be the host and start it. Raises CannotJoin."""
    with stand_in.lock:
        _let_in(stand_in, asked, kind, meeting_id)
        meeting = stand_in.account.meeting(meeting_id)
        stay = _stay(meeting.live, asked)
    query = {name: value for name, value in asked.query.items() if name != "in"}
    link = f"{asked.path}?{urlencode(query)}"
    form = asked.form()
    if form.get("do") == "start":
        stand_in.start(meeting.id)
    elif form.get("do") == "join":
        name = form.get("name") or "Guest"
        stay = stand_in.join(link, name=name, email=form.get("email", ""))
    elif form.get("do") == "leave" and stay:
        stand_in.leave(stay)
    return see(f"{link}&in={stay.uuid}" if stay else link)


def register(stand_in: "StandIn", asked: Asked, meeting_id: str) -> Answer:
    """Where a registration_url leads."""
    return message("Registration", "People register on the site, not here.")


def _choice(
    live: Instance | None, stay: Participant | None, registrant: Registrant | None, *, was: bool
) -> tuple[str, str]:
    """What to say, and the fields and button of the form."""
    if live is None and was:
        return "The host has ended this meeting.", ""
    if live is None:
        start = '<button name="do" value="start">Be the host and start it</button>'
        return "Please wait for the host to start this meeting.", start
    if stay:
        leave = '<button class="main" name="do" value="leave">Leave</button>'
        return '<strong class="good">You are in the meeting.</strong>', leave
    join = '<button class="main" name="do" value="join">Join</button>'
    return "You have left the meeting." if was else "The meeting is on.", (
        join if registrant else WHO + join
    )


def _let_in(stand_in: "StandIn", asked: Asked, kind: str, meeting_id: str) -> Registrant | None:
    token = asked.query.get("tk", "") if kind == "w" else None
    return stand_in.account.admit(int(meeting_id), asked.query.get("pwd", ""), token)


def _stay(live: Instance | None, asked: Asked) -> Participant | None:
    """The stay in the meeting which this page is about, while it lasts."""
    for participant in live.participants if live else ():
        if participant.uuid == asked.query.get("in") and participant.leave_time is None:
            return participant
    return None


def _person(registrant: Registrant) -> str:
    name = f"{registrant.first_name} {registrant.last_name}".strip()
    return f"<p>You are <strong>{escape(name)}</strong> ({escape(registrant.email)}).</p>"
