"""Celery's beat scheduler, which also records a heartbeat in the database."""

import logging
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError, close_old_connections

logger = logging.getLogger(__name__)


class Scheduler(PersistentScheduler):
    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Send the tasks that are due, even if the database is unavailable."""
        from registrations import monitoring
        from registrations.models import Heartbeat

        close_old_connections()
        try:
            monitoring.record_heartbeat(Heartbeat.Process.BEAT)
        except DatabaseError as error:
            logger.warning("Beat could not record its heartbeat: %s", error)
        return super().tick(*args, **kwargs)
