"""Celery tasks: each calls one domain function."""

from celery import shared_task

from events.images import storage
from events.zoom import sync


@shared_task
def sync_meetings() -> None:
    """Keep the meetings at Zoom in sync with their sessions."""
    sync.sync_meetings()


@shared_task
def delete_unused_images() -> None:
    """Delete the pictures of rows that were deleted."""
    storage.delete_unused_images()
