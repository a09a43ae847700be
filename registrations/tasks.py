"""Celery tasks. Each one calls a domain function."""

import datetime as dt
from collections.abc import Callable
from functools import partial

from celery import shared_task

from events.background import for_each_logging_errors
from events.clock import database_time
from registrations import access_needs, monitoring, seats, signup
from registrations.mail import (
    announcements,
    change_notices,
    reminders,
    stored_messages,
    test_emails,
    writer,
)
from registrations.models import Heartbeat
from registrations.outbox import delivery, mail_queue
from registrations.privacy import erasure
from registrations.zoom import attendance, personal_links

# What `queue_due_mails` runs every 10 seconds. Each must be safe to run late or twice.
DUE_CHECKS: list[Callable[[dt.datetime], None]] = [
    change_notices.queue_changes,
    reminders.queue_reminders,
    reminders.queue_doors_emails,
    reminders.queue_thanks,
    announcements.start_due,
    seats.free_bounced,
    seats.promote_all_waiting,
    access_needs.reopen_moved,
    stored_messages.clear_finished,
    test_emails.delete_old,
]


@shared_task
def deliver_mails() -> None:
    """Send due emails for one run. If more may be due, wake another worker."""
    record_heartbeat = partial(monitoring.record_heartbeat, Heartbeat.Process.WORKER)
    record_heartbeat()
    if delivery.deliver_due(writer.writer_for, record_heartbeat=record_heartbeat):
        mail_queue.wake_workers()


@shared_task
def queue_due_mails() -> None:
    """Do what has become due: queue emails, which `deliver_mails` sends, and fill open spots."""
    now = database_time()
    for_each_logging_errors(DUE_CHECKS, lambda check: check(now))


@shared_task
def issue_links() -> None:
    """Issue and revoke personal links at Zoom for one run. If there is more, wake a worker."""
    if personal_links.sync_links():
        mail_queue.wake_workers("issue_links")


@shared_task
def apply_zoom_reports() -> None:
    """Apply what Zoom's webhooks reported, and read its lists of ended meetings."""
    attendance.apply_reports()
    attendance.complete_ended()


@shared_task
def repair_time_zones() -> None:
    """Replace stored time zones that the system no longer knows."""
    signup.repair_time_zones()


@shared_task
def erase_expired() -> None:
    """Erase people of events that ended long ago, for one run. If there is more, wake a worker."""
    if erasure.erase_expired():
        mail_queue.wake_workers("erase_expired")
