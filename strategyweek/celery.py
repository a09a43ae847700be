"""The Celery application: `celery -A strategyweek worker`, `celery -A strategyweek beat`."""

import os
from typing import Any

from celery import Celery, bootsteps
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "strategyweek.settings")

TRANSPORT_ALIASES["embedded"] = "strategyweek.embedded_broker:Transport"

app = Celery("strategyweek")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["strategyweek.accounts"])


class ReplaceKilledChildren(bootsteps.StartStopStep):
    """Looks for killed children every second. Otherwise Celery may notice one after five."""

    requires = ("celery.worker.components:Pool",)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        hub.call_repeatedly(1, worker.pool.maintain_pool)


app.steps["worker"].add(ReplaceKilledChildren)
