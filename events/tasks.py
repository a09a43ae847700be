from celery import shared_task

from events.zoom import sync


@shared_task
def sync_meetings() -> None:
    """Keep sessions and their meetings at Zoom in step."""
    sync.sync_meetings()
