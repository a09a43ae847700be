"""Celery's beat, which also gives a sign of life in the database."""

import logging
from typing import Any

from celery.beat import PersistentScheduler
from django.db import DatabaseError, close_old_connections

logger = logging.getLogger(__name__)


class Scheduler(PersistentScheduler):
    def tick(self, *args: Any, **kwargs: Any) -> Any:
        """Send what is due. A database that is away keeps no task from being sent."""
        from registrations import monitoring
        from registrations.models import Heartbeat

        close_old_connections()
        try:
            monitoring.record_heartbeat(Heartbeat.Process.BEAT)
        except DatabaseError as error:
            logger.warning("The beat cannot give a sign of life: %s", error)
        return super().tick(*args, **kwargs)
