"""Nothing is uploaded here: a file in a form is read past in small pieces, and not kept."""

from typing import Any

from django.core.files.uploadhandler import FileUploadHandler


class Discard(FileUploadHandler):
    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        return None

    def file_complete(self, file_size: int) -> Any:
        return None
