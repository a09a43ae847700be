"""The account as its owner sees it, with buttons for what a host does and for making calls fail."""

import time
from html import escape
from typing import TYPE_CHECKING

from . import api, shapes
from .account import Meeting
from .faults import ANY, Fault
from .listening import Answer, Asked
from .markup import buttons, card, message, options, page, see, table, when

if TYPE_CHECKING:
    from .server import StandIn

LATELY = 20


def show(stand_in: "StandIn", asked: Asked) -> Answer:
    with stand_in.lock:
        meetings = sorted(stand_in.meetings.values(), key=lambda each: each.start_time)
        cards = "".join(_meeting(stand_in, each) for each in meetings)
    none = "<p>There are none yet. The site makes them when an event asks for them.</p>"
    return page(
        "The account",
        f"""
<header>
  <h1>An account at “Zoom”</h1>
  <p>Meetings that the site makes appear here. Be their host, come in by a link from a mail, and
    see what happens when calls to Zoom fail.</p>
  <p class="muted">Plan: {escape(stand_in.account.plan)}. Host:
    {escape(stand_in.account.owner.email)}. Webhooks go to
    {escape(stand_in.webhooks.url or "nobody")}.</p>
</header>
<section>
  <h2>Meetings</h2>
  {f'<div class="cards">{cards}</div>' if cards else none}
</section>
<section>
  <h2>Make calls fail</h2>
  <div class="cards">{_order_form()}{_chance_form(stand_in)}</div>
  {_orders(stand_in)}
</section>
<div class="cards wide">{_calls(stand_in)}{_webhooks(stand_in)}</div>
""",
    )


def _meeting(stand_in: "StandIn", meeting: Meeting) -> str:
    live = meeting.live
    if live:
        inside = sum(each.leave_time is None for each in live.participants)
        state = f'<span class="good">Live</span>, {inside} in it'
    else:
        state = "Ended" if meeting.instances else "Waiting for its host"
    people = len(meeting.registered()) if meeting.has_registration else "Not asked to register"
    actions = [("end", "End")] if live else [("start", "Start"), ("delete", "Delete by hand")]
    if meeting.instances and not live:
        actions.insert(1, ("recording", "Recording is ready"))
    link = shapes.join_url(stand_in.account, meeting)
    return f"""
<article class="card" id="meeting-{meeting.id}">
  <h3><a href="{escape(link)}">{escape(meeting.topic)}</a></h3>
  <dl>
    <dt>When</dt><dd>{when(meeting)}</dd>
    <dt>ID</dt><dd>{meeting.id}</dd>
    <dt>Registered</dt><dd>{people}</dd>
    <dt>State</dt><dd>{state}</dd>
  </dl>
  {buttons((f"/meetings/{meeting.id}/{action}", word) for action, word in actions)}
</article>"""


def _order_form() -> str:
    return f"""
<form class="card" method="post" action="/control/fail">
  <label>How <select name="fault">{options(Fault)}</select></label>
  <label>Which call <select name="call">{options([ANY, *api.NAMES])}</select></label>
  <label>How many times; empty means until told to stop
    <input name="times" type="number" min="1" value="1">
  </label>
  <label>For a 429: try again after so many seconds
    <input name="retry_after" type="number" min="0">
  </label>
  <button class="main">Fail</button>
</form>"""


def _chance_form(stand_in: "StandIn") -> str:
    percent = round(stand_in.faults.rate * 100)
    return f"""
<form class="card" method="post" action="/control/fail-at-random">
  <label>Of 100 calls, let so many fail, each in a random way
    <input name="percent" type="number" min="0" max="100" value="{percent}">
  </label>
  <button>Leave it to chance</button>
</form>"""


def _orders(stand_in: "StandIn") -> str:
    orders = [
        f"{order.fault.value}, {order.call} call, "
        + (f"{order.times} more" if order.times else "until told to stop")
        for order in stand_in.faults.pending()
    ]
    if stand_in.faults.rate:
        orders.append(f"By chance, {stand_in.faults.rate:.0%} of all calls")
    if not orders:
        return '<p class="muted">Nothing is to fail.</p>'
    items = "".join(f"<li>{escape(order)}</li>" for order in orders)
    return f"<ul>{items}</ul>{buttons([('/control/heal', 'Stop failing')])}"


def _calls(stand_in: "StandIn") -> str:
    now = time.perf_counter()
    rows = [(each.name, each.status, now - each.moment) for each in stand_in.calls[-LATELY:]]
    shown = table(("Call", "Answer", "When"), reversed(rows))
    return f"<section><h2>Latest calls</h2>{shown}</section>"


def _webhooks(stand_in: "StandIn") -> str:
    now = stand_in.clock()
    rows = [
        (each.event, each.status, (now - each.sent_at).total_seconds())
        for each in stand_in.sent[-LATELY:]
    ]
    shown = table(("Webhook", "Answer", "When"), reversed(rows))
    check = buttons([("/control/validate-webhook", "Check the webhook address")])
    return f"<section><h2>Latest webhooks</h2>{shown}{check}</section>"


# What the buttons do


def act(stand_in: "StandIn", asked: Asked, meeting_id: str, action: str) -> Answer:
    act = {
        "start": stand_in.start,
        "end": stand_in.end,
        "recording": stand_in.recording_ready,
        "delete": stand_in.delete_by_hand,
    }[action]
    with stand_in.lock:
        meeting = stand_in.account.meeting(meeting_id)
    act(meeting.id)
    return see("/")


def fail(stand_in: "StandIn", asked: Asked) -> Answer:
    form = asked.form()
    times, retry_after = form.get("times"), form.get("retry_after")
    stand_in.fail(
        form.get("fault", ""),
        call=form.get("call", ANY),
        times=int(times) if times else None,
        retry_after=float(retry_after) if retry_after else None,
    )
    return see("/")


def fail_at_random(stand_in: "StandIn", asked: Asked) -> Answer:
    form = asked.form()
    rate = float(form.get("percent") or 0) / 100
    stand_in.fail_at_random(rate, seed=int(form.get("seed") or time.time()))
    return see("/")


def heal(stand_in: "StandIn", asked: Asked) -> Answer:
    stand_in.heal()
    return see("/")


def validate_webhook(stand_in: "StandIn", asked: Asked) -> Answer:
    believed = stand_in.validate_webhook()
    words = "It knows the secret." if believed else "It did not answer as it should."
    return message("The webhook address", words)


def recording(stand_in: "StandIn", asked: Asked, meeting_id: str) -> Answer:
    """Where a recording's share_url leads."""
    with stand_in.lock:
        topic = stand_in.account.meeting(meeting_id).topic
    body = f"<h1>{escape(topic)}</h1><p>The recording would play here.</p>"
    return page("The recording", card(body), narrow=True)
