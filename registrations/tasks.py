from celery import shared_task

from . import mails, outbox


@shared_task
def deliver_mails() -> None:
    """Send what is due; when there may be more, ask for another worker's hand."""
    if outbox.deliver_due(mails.prepare) == outbox.BATCH:
        outbox.nudge()
