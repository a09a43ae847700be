"""The Celery application: `celery -A strategyweek worker`, `celery -A strategyweek beat`."""

import os
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_init, worker_process_init
from django.conf import settings
from django.db import connections
from kombu.transport import TRANSPORT_ALIASES

from events.background import wake_workers

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "strategyweek.settings")

TRANSPORT_ALIASES["embedded"] = "strategyweek.embedded_broker:Transport"

FREQUENT_SECONDS = 20

app = Celery("strategyweek")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
app.autodiscover_tasks(["strategyweek.accounts"])


class ReplaceKilledChildren(bootsteps.StartStopStep):
    """Looks for killed children ten times a second.

    Celery looks when a child's pipe closes, which may be just before the system has recorded the
    end of the process, and then again only after five seconds.
    """

    requires = ("celery.worker.components:Pool",)

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:
        hub.call_repeatedly(0.1, worker.pool.maintain_pool)


app.steps["worker"].add(ReplaceKilledChildren)


@worker_process_init.connect
def run_frequent_tasks(**kwargs: object) -> None:
    """Do at once what is done every few seconds: a killed child may have taken a wake-up with it.

    Not by acknowledging late: a worker whose acknowledgment fails, with a frozen broker, takes no
    further message.
    """
    for entry in settings.CELERY_BEAT_SCHEDULE.values():
        if entry["schedule"] <= FREQUENT_SECONDS:
            wake_workers(entry["task"])


@worker_init.connect
def limit_statements(**kwargs: object) -> None:
    """Let PostgreSQL end a worker's statements that take too long.

    Runs before the pool starts, so that each process and thread connects with this option.
    """
    database = connections.settings["default"]
    if database["ENGINE"] == "django.db.backends.postgresql":
        milliseconds = settings.WORKER_STATEMENT_TIMEOUT_SECONDS * 1000
        # The driver ignores PGOPTIONS when it is given options.
        given = database["OPTIONS"].get("options", os.environ.get("PGOPTIONS", ""))
        option = f"-c statement_timeout={milliseconds}"
        database["OPTIONS"]["options"] = f"{given} {option}".strip()
