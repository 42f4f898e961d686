"""Files named by what is in them."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Final

from signal_stream.errors import RegistryError

_RESTORE: Final = "Restore the file from a copy, or remove it and register the model again."


def digest_of(data: bytes) -> str:
    """By which bytes are named."""
    return hashlib.sha256(data).hexdigest()


class Content:
    """A folder of read-only files, each named by its SHA-256. A file is there whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, digest: str) -> Path:
        """Where the file with this digest lies."""
        return self._folder / digest[:2] / digest

    def digests(self) -> set[str]:
        """Of all files that are there."""
        return {path.name for path in self._folder.glob("??/*") if not path.name.startswith(".")}

    def put(self, data: bytes, *, name: str) -> str:
        """Keeps the bytes, on the disk when it returns, and gives their digest; `name` is what the user calls them. Raises
        RegistryError."""
        digest = digest_of(data)
        path = self.path(digest)
        if path.exists():
            self.read(digest, name=name)
            return digest
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, unfinished_name = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
            unfinished = Path(unfinished_name)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.chmod(0o444)
                unfinished.rename(path)
            except BaseException:
                unfinished.unlink()
                raise
            self._sync(path.parent)
        except OSError as error:
            raise RegistryError("WRITE", f"cannot be written: {error.strerror}", where=str(path)) from error
        return digest

    def read(self, digest: str, *, name: str) -> bytes:
        """The bytes with this digest, `name` being what the user calls them. Raises RegistryError DIGEST if they are
        others now."""
        path = self.path(digest)
        try:
            data = path.read_bytes()
        except OSError as error:
            message = f'"{name}" cannot be read: {error.strerror}'
            raise RegistryError("NOT_FOUND", message, where=str(path), next_step=_RESTORE) from error
        found = digest_of(data)
        if found != digest:
            raise RegistryError(
                "DIGEST",
                f'"{name}" was changed after it was registered: registered {digest}, found {found}',
                where=str(path),
                value=found,
                next_step=_RESTORE,
            )
        return data

    @staticmethod
    def _sync(folder: Path) -> None:
        handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
