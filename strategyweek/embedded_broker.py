"""The embedded broker: Celery messages as files in a folder, with nothing to install.

With kombu's own filesystem transport, a consumer may read a file that is still being written
(kombu issue 1551). Here a rename publishes a complete message, and a rename takes it, so that
only one worker gets it.
"""

import logging
import uuid
from functools import cached_property
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any

from kombu.transport import virtual
from kombu.utils.json import dumps, loads

logger = logging.getLogger(__name__)


class Channel(virtual.Channel):
    @cached_property
    def folder(self) -> Path:
        client: Any = self.connection.client
        folder = Path(client.transport_options["folder"])
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _messages(self, queue: str) -> list[Path]:
        """The messages of a queue, oldest first."""
        return sorted(self.folder.glob(f"*.{queue}.msg"))

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        name = f"{time_ns()}-{uuid.uuid4()}"
        unfinished = self.folder / f"{name}.unfinished"
        unfinished.write_text(dumps(message))
        unfinished.rename(self.folder / f"{name}.{queue}.msg")

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        for message in self._messages(queue):
            taken = message.with_suffix(".taken")
            try:
                message.rename(taken)
                return loads(taken.read_text())
            except FileNotFoundError:  # Another worker took it.
                continue
            except ValueError:  # Incomplete, such as after a power cut.
                logger.warning("Discarded an incomplete message: %s", message.name)
            finally:
                taken.unlink(missing_ok=True)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._messages(queue))

    def _purge(self, queue: str) -> int:
        messages = self._messages(queue)
        for message in messages:
            message.unlink(missing_ok=True)
        return len(messages)


class Transport(virtual.Transport):
    Channel = Channel
    # Each process declares its own bindings; all queues are direct.
    global_state = virtual.BrokerState()
    implements = virtual.Transport.implements.extend(exchange_type=frozenset({"direct"}))

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = self.global_state
