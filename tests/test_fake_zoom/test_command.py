"""The fake Zoom's command, and the file that keeps its account."""

import copy
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_zoom import FakeZoom
from tests.fake_zoom.state import keep_in_file
from tests.services.process import Process, free_port
from tests.test_fake_zoom.client import Client, Clock, page, person

pytestmark = pytest.mark.once


def test_account_is_kept_in_a_file(clock: Clock, tmp_path) -> None:
    file = tmp_path / "state.json"
    with FakeZoom(clock=clock) as zoom:
        keep_in_file(zoom, file)
        client = Client(zoom)
        made = client.create()
        path = f"/meetings/{made['id']}/registrants"
        client("POST", path, person("Alice"))
        zoom.start(made["id"])
        zoom.join(made["id"])
        zoom.end(made["id"])
        saved = copy.deepcopy(zoom.meetings)
    with FakeZoom(clock=clock) as zoom:
        keep_in_file(zoom, file)
        assert zoom.meetings == saved
        client = Client(zoom)
        assert client("GET", "/users/me/meetings").json()["total_records"] == 1
    file.write_text("{}")
    with pytest.raises(ValueError, match="not the state of a fake Zoom"):
        keep_in_file(FakeZoom(), file)


COMMAND = (sys.executable, "-m", "tests.fake_zoom")
VARIABLES = {
    "ZOOM_ACCOUNT_ID": "account-id",
    "ZOOM_CLIENT_ID": "client-id",
    "ZOOM_CLIENT_SECRET": "client-secret",
    "ZOOM_WEBHOOK_SECRET": "webhook-secret",
    "SITE_URL": "http://localhost:1",
}


@pytest.mark.parametrize("last_signal", [signal.SIGINT, signal.SIGTERM])
def test_command_serves_until_it_is_stopped(tmp_path: Path, last_signal: signal.Signals) -> None:
    file, port = tmp_path / "state.json", free_port()
    process = Process(
        *(*COMMAND, "--port", str(port), "--state", file),
        log=tmp_path / "zoom.log",
        environment=VARIABLES,
    )
    process.ready_when(lambda: f"running at http://localhost:{port}/" in process.log)
    zoom = FakeZoom(port=port)
    made = Client(zoom).create()
    shown = page(zoom, "/")
    assert f'id="meeting-{made["id"]}"' in shown
    assert "Sun, Oct 18, 2026, 6:00 PM Los Angeles time" in shown
    process.stop(last_signal)
    assert process.wait() == 0
    assert str(made["id"]) in file.read_text()


def test_command_names_the_missing_variable() -> None:
    variables = VARIABLES | {"ZOOM_CLIENT_ID": ""}
    result = subprocess.run(COMMAND, env=variables, capture_output=True, text=True, timeout=30)
    assert result.returncode == 1
    assert result.stderr == (
        "ZOOM_CLIENT_ID is not set. The fake Zoom needs the same value as the site.\n"
    )
