"""Discards uploaded files: no form of the site takes any."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler


class DiscardUploads(FileUploadHandler):
    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> Any:
        return None
