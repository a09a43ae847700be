"""The organizers' pages in every state. See page_states.py."""

import datetime as dt
import uuid
from collections.abc import Iterator

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from playwright.sync_api import Page

from events import history, schedule, weeks
from events.models import Event, Meeting, Session
from registrations.models import Announcement, Attendance, OutgoingMail, Registration
from tests.opening_pages import Open, State, at, press, pressed
from tests.people import a_saturday_ahead, in_english, published_event, sign_up

MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
ADMIN = "/admin/registrations"
NEW_WEEK = "/admin/events/event/create/"
SET_UP = "/admin/events/sitesettings/"
EASTERN = "America/New_York"


def organizer_states(week: Event, under_way: Event) -> Iterator[State]:
    running = under_way.sessions.all()[1]
    urls = {
        **event_admin_urls(week, under_way),
        **people_admin_urls(week, under_way),
        **mail_admin_urls(week),
        "index": "/admin/",
        "index-of-a-week": f"/admin/?event={week.pk}",
        "users": "/admin/auth/user/",
        "user-add": "/admin/auth/user/add/",
        "groups": "/admin/auth/group/",
        "password": "/admin/password_change/",
        "set-up": SET_UP,
    }
    for name, url in urls.items():
        yield State(f"admin-{name}", at(url), "organizer")
    save_nothing = pressed("/admin/events/event/add/", "input[name=_save]")
    yield State("admin-event-errors", save_nothing, "organizer")
    yield State("admin-event-publish-open", published_too_soon, "organizer")
    yield State("admin-week-errors", pressed(NEW_WEEK, "button[value=plan]"), "organizer")
    yield State("admin-week-sessions", proposed_week, "organizer")
    yield State("admin-set-up-errors", wrong_server, "organizer")
    yield State("admin-week-sessions-errors", wrong_week, "organizer")
    for action in ("decline", "renew_links", "cancel", "erase"):
        yield State(f"admin-{action}", chosen_action(action), "organizer")
    sessions = f"/admin/events/session/?event__id__exact={week.pk}"
    for action in ("cancel", "delete_selected"):
        opened = chosen_action(action, sessions)
        yield State(f"admin-sessions-{action}", opened, "organizer")
    canceled = f"/admin/events/session/?event__id__exact={under_way.pk}&q=countering"
    yield State("admin-sessions-restore", chosen_action("restore", canceled), "organizer")
    asks = saved(f"/admin/events/session/{running.pk}/change/", title_en="Another title")
    yield State("admin-session-asks", asks, "organizer")
    # People see the speaker's name in the agenda.
    renamed = {"settle_minutes": "0", "speakers-0-name_en": "Another name"}
    asks = saved(f"/admin/events/event/{under_way.pk}/change/", **renamed)
    yield State("admin-event-asks", asks, "organizer")
    later = week.sessions.all()[1]
    yield State("admin-session-changed-by-both", changed_by_both(later), "organizer")
    # In another year, without its end. The day is the same in each language's way to write it.
    session = week.sessions.last()
    day = f"10/10/{session.starts_at.year + 1}"
    checks = saved(f"/admin/events/session/{session.pk}/change/", starts_at_0=day)
    yield State("admin-session-checks", checks, "organizer")
    yield State("admin-the-week-checks", unusual_week(week, session), "organizer")
    yield State("admin-shift-dates", shifted(f"/admin/events/event/{week.pk}/shift/"), "organizer")
    yield State("admin-event-half-renamed", half_renamed(week), "organizer")
    zone = saved(f"/admin/events/event/{week.pk}/change/", time_zone=EASTERN)
    yield State("admin-event-zone", zone, "organizer")


def published_too_soon(page: Page) -> None:
    """A draft, one of its sessions without a link and two of them drafts, before it's checked."""
    draft = Event.objects.get(slug="draft")
    first, second, third = draft.sessions.all()[:3]
    Meeting.objects.filter(session=first).delete()
    Session.objects.filter(pk__in=[second.pk, third.pk]).update(status="draft")
    page.goto(f"/admin/events/event/{draft.pk}/publish/")
    press(page, "button[value=publish]")


def proposed_week(page: Page) -> None:
    """The second page of creating a week."""
    page.goto(NEW_WEEK)
    page.locator("input[name=name_en]").fill("Spring Week")
    page.locator("input[name=summary_en]").fill("A week of ideas.")
    page.locator("input[name=first_day]").fill(str(a_saturday_ahead()))
    press(page, "button[value=plan]")


def wrong_week(page: Page) -> None:
    proposed_week(page)
    page.locator("input[name=form-0-title]").fill("")
    page.locator("input[name=form-0-ends]").fill("08:00")
    press(page, "button[value=create]")


def unusual_week(week: Event, session: Session) -> Open:
    """Move a session on the week's page to another year, and empty the title of another one."""
    wrong = week.sessions.first()

    def open(page: Page) -> None:
        page.goto(f"/admin/events/event/{week.pk}/week/")
        day = f"{session.starts_at.year + 1}-10-10"
        page.locator(f"input[name=session-{session.pk}-starts_at_0]").fill(day)
        for code in ("en", "es"):
            page.locator(f"input[name=session-{wrong.pk}-title_{code}]").fill("")
        press(page, ".week__save button")

    return open


def shifted(url: str) -> Open:
    """The new dates, before the sessions are shifted."""

    def open(page: Page) -> None:
        page.goto(url)
        page.locator("input[name=days]").fill("7")
        press(page, "button[value=preview]")

    return open


def wrong_server(page: Page) -> None:
    """The page to set up the site, with everything open."""
    page.goto(SET_UP)
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")
    page.locator("input[name=user]").fill("week")
    press(page, "button[value=server]")
    page.locator("details").evaluate_all("all => all.forEach(each => each.open = true)")


def event_admin_urls(week: Event, under_way: Event) -> dict[str, str]:
    event, session = f"/admin/events/event/{week.pk}", week.sessions.first()
    over, running, *_between, canceled, _full = under_way.sessions.all()
    schedule.cancel_session(session=over)
    trial = Event.objects.get(slug="draft")
    sign_up(trial)
    in_list = "/admin/events/session"
    edited, held = week.sessions.all()[1:3]
    schedule.hold_notices(session=held)
    for each in (edited, held):
        make_longer(each)
    return {
        "events": "/admin/events/event/",
        "event": f"{event}/change/",
        "event-add": "/admin/events/event/add/",
        "event-published": f"{event}/publish/",
        "week-create": NEW_WEEK,
        "week-copy": f"{event}/copy/",
        "the-week": f"{event}/week/",
        "the-week-under-way": f"/admin/events/event/{under_way.pk}/week/",
        "shift": f"{event}/shift/",
        "session-duplicate": f"{in_list}/{session.pk}/duplicate/",
        "event-delete": f"{event}/delete/",
        "sessions": f"/admin/events/session/?event__id__exact={under_way.pk}",
        "session": f"/admin/events/session/{session.pk}/change/",
        "session-add": "/admin/events/session/add/",
        "session-delete": f"{in_list}/{session.pk}/delete/",
        "session-cancel": f"{in_list}/{session.pk}/cancel/",
        "session-cancel-now": f"{in_list}/{running.pk}/cancel/",
        "session-canceled": f"{in_list}/{canceled.pk}/change/",
        "session-restore": f"{in_list}/{canceled.pk}/restore/",
        "session-restore-over": f"{in_list}/{over.pk}/restore/",
        "pending-notices": f"{in_list}/notices/{week.pk}/",
        "pending-notices-none": f"{in_list}/notices/{trial.pk}/",
        "pending-notice": f"{ADMIN}/outgoingmail/notice/{edited.pk}/",
        "event-publish": f"/admin/events/event/{trial.pk}/publish/",
        **history_urls(week, under_way),
        "trial-delete": f"/admin/events/event/{trial.pk}/delete/",
        "trial-delete-all": f"{ADMIN}/registration/delete-event/{trial.pk}/",
    }


def history_urls(week: Event, under_way: Event) -> dict[str, str]:
    """A history with a change of everything, the page that reverts it, and an archived week."""
    organizer, session = User.objects.filter(is_superuser=True).first(), week.sessions.first()
    assert organizer
    before = history.snapshot(session, ("meeting", "agenda"))
    Meeting.objects.filter(session=session).update(passcode="another")
    Session.objects.filter(pk=session.pk).update(
        **in_english(title="Opening", summary="What it's about, and how to prepare. " * 12),
        starts_at=session.starts_at - HOUR,
        capacity=50,
    )
    changed = history.changes(before, history.snapshot(session, ("meeting", "agenda")))
    session.refresh_from_db()
    history.log(organizer.pk, [session], CHANGE, "[]", changed)
    entry = LogEntry.objects.latest("pk")
    history.log(organizer.pk, [under_way], CHANGE, "Archived.")
    archived = published_event(name="Last year", slug="last-year", summary="It's over.")
    weeks.archive(event=archived)
    in_list = "/admin/events/session"
    return {
        "event-history": f"/admin/events/event/{week.pk}/history/",
        "site-history": "/admin/admin/logentry/",
        "user-delete": f"/admin/auth/user/{organizer.pk}/delete/",
        "event-history-none": f"/admin/events/event/{archived.pk}/history/",
        "event-archived": f"/admin/events/event/{archived.pk}/change/",
        "session-history": f"{in_list}/{session.pk}/history/",
        "session-revert": f"{in_list}/{session.pk}/history/{entry.pk}/",
    }


def make_longer(session: Session) -> None:
    """Edit a session: people will be emailed about it."""
    with schedule.edit_session(session.pk) as current:
        current.ends_at += 15 * MINUTE
        current.save()


def people_admin_urls(week: Event, under_way: Event) -> dict[str, str]:
    person = Registration.objects.get(event=week, email="alice@example.org")
    seat = Registration.objects.get(event=under_way, email="alice@example.org").seats.first()
    Attendance.objects.create(
        session=seat.session, seat=seat, name="Alice", joined_at=seat.session.starts_at
    )
    question = f"{ADMIN}/question/{week.questions.last().pk}"
    readiness, running = f"{ADMIN}/registration/readiness", under_way.sessions.all()[1]
    return {
        "registrations": f"{ADMIN}/registration/",
        "registration": f"{ADMIN}/registration/{person.pk}/change/",
        "phone-card": f"{ADMIN}/registration/{person.pk}/phone/",
        "retention": f"{ADMIN}/registration/retention/",
        "readiness": f"{readiness}/{week.pk}/",
        "readiness-session": f"{readiness}/{under_way.pk}/?session={running.pk}",
        "questions": f"{ADMIN}/question/",
        "question-add": f"{ADMIN}/question/add/",
        "question": f"{question}/change/",
        "question-answers": f"{question}/answers/",
        "question-delete": f"{question}/delete/",
        "access-needs": f"{ADMIN}/accessneed/",
        "seats": f"{ADMIN}/seat/",
        "attendance": f"{ADMIN}/attendance/",
    }


def mail_admin_urls(week: Event) -> dict[str, str]:
    draft = Announcement.objects.create(
        event=week,
        subject="What to bring on Saturday",
        body="Dear {name},\n\n**One thing to prepare**: think of the person you're here for.\n\n"
        "- Bring a photo, if you like.\n- Come a few minutes early, to try your sound.",
    )
    mail = OutgoingMail.objects.order_by("pk").first()
    OutgoingMail.objects.filter(pk=mail.pk).update(
        state="failed", attempts=3, last_error="550 5.1.1 No such user"
    )
    return {
        "announcements": f"{ADMIN}/announcement/",
        "announcement-add": f"{ADMIN}/announcement/add/",
        "announcement": f"{ADMIN}/announcement/{draft.pk}/change/",
        "announcement-review": f"{ADMIN}/announcement/{draft.pk}/review/",
        "mail-texts": f"{ADMIN}/mailtext/",
        "mail-text-add": f"{ADMIN}/mailtext/add/",
        "mail-text-preview": f"{ADMIN}/mailtext/preview/{week.pk}/links/",
        "emails": f"{ADMIN}/outgoingmail/",
        "email": f"{ADMIN}/outgoingmail/{mail.pk}/change/",
        "email-status": f"{ADMIN}/outgoingmail/status/",
    }


def saved(url: str, **values: str) -> Open:
    """Enter this on a page of the admin, and save it."""

    def open(page: Page) -> None:
        page.goto(url)
        for name, value in values.items():
            field = page.locator(f"[name={name}]")
            is_select = field.evaluate("field => field.tagName") == "SELECT"
            field.select_option(value) if is_select else field.fill(value)
        press(page, "input[name=_save]")

    return open


def half_renamed(week: Event) -> Open:
    """Enter the word for one strategy, but not for several."""

    def open(page: Page) -> None:
        page.goto(f"/admin/events/event/{week.pk}/change/")
        page.locator("details:has([name=word_for_track_en]) summary").click()
        page.locator("[name=word_for_track_en]").fill("Working group")
        press(page, "input[name=_save]")

    return open


def changed_by_both(session: Session) -> Open:
    """Change the short title while someone else does, too."""

    def open(page: Page) -> None:
        page.goto(f"/admin/events/session/{session.pk}/change/")
        page.locator("input[name=short_title_en]").fill("What we wrote")
        theirs = f"What they wrote {uuid.uuid4().hex[:4]}"
        Session.objects.filter(pk=session.pk).update(**in_english(short_title=theirs))
        press(page, "input[name=_save]")

    return open


def chosen_action(action: str, where: str = f"{ADMIN}/registration/?q=alice") -> Open:
    """Check the first row of a list, by default of registrations, and press this action."""

    def open(page: Page) -> None:
        page.goto(where)
        page.locator("#result_list tbody input[type=checkbox]").first.check()
        page.locator("select[name=action]").select_option(action)
        press(page, ".actions button")

    return open
