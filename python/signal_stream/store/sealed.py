"""Compressed segments of the journal: written beside the one that they replace, read like it."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, Final, cast

from .durable import sync_folder

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

_CHUNK_BYTES: Final = 1 << 20


class _Sealed(io.RawIOBase):
    """The bytes of a compressed file. Where it is damaged they end: who reads records misses those that follow."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self._errors = (OSError, pa.ArrowException)
        self._stream: Any = pa.input_stream(str(path), compression="zstd")

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """So many bytes, or all."""
        try:
            return cast("bytes", self._stream.read(None if size < 0 else size))
        except self._errors:
            return b""

    def close(self) -> None:
        """Gives the file back."""
        self._stream.close()
        super().close()


def open_sealed(path: Path, at: int) -> BinaryIO:
    """The bytes of a compressed file from `at` on. Raises OSError."""
    file = _Sealed(path)
    while at > 0:
        passed = len(file.read(min(at, _CHUNK_BYTES)))
        if not passed:
            break
        at -= passed
    return cast("BinaryIO", file)


def compress(plain: Path, sealed: Path) -> None:
    """Writes a file compressed, on the disk and whole before it has its name. Raises OSError."""
    import pyarrow as pa

    unfinished = sealed.with_name(f".{sealed.name}.unfinished")
    with (
        plain.open("rb") as file,
        pa.OSFile(str(unfinished), "wb") as sink,
        pa.CompressedOutputStream(sink, "zstd") as stream,
    ):
        while chunk := file.read(_CHUNK_BYTES):
            stream.write(chunk)
    handle = os.open(unfinished, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    unfinished.rename(sealed)
    sync_folder(sealed.parent)
