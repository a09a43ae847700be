from celery import shared_task

from . import meetings


@shared_task
def keep_meetings() -> None:
    """Keep sessions and their meetings at Zoom in step."""
    meetings.keep_in_step()
