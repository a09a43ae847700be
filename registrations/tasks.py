from functools import partial

from celery import shared_task

from . import attendance, mails, outbox, own_data, personal_links, reminders, status
from .models import Heartbeat


@shared_task
def deliver_mails() -> None:
    """Send what is due; when there may be more, ask for another worker's hand."""
    give_sign = partial(status.give_sign, Heartbeat.Part.WORKER)
    give_sign()
    if outbox.deliver_due(mails.prepare, note_left=mails.note_left, give_sign=give_sign):
        outbox.nudge()


@shared_task
def queue_owed() -> None:
    """Queue what is owed at this moment; the mails are sent by `deliver_mails`."""
    reminders.queue_owed()


@shared_task
def issue_links() -> None:
    """Keep people's links at Zoom up with their seats, for a turn."""
    if personal_links.keep_up():
        outbox.nudge("issue_links")


@shared_task
def heed_zoom() -> None:
    """Work on what Zoom has reported by webhooks, and read its lists afterwards."""
    attendance.heed_reports()
    attendance.complete_ended()


@shared_task
def erase_expired() -> None:
    """Erase people of events that were over long ago, for a turn."""
    if own_data.erase_expired():
        outbox.nudge("erase_expired")
