"""Models by name: what was registered, and which version a reference means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from signal_stream.errors import RegistryError, did_you_mean
from signal_stream.records import Manifest

from .catalogue import STAGES, AuditRow, Catalogue, Entry
from .content import Content

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A version with its manifest and files, all verified when it was loaded."""

    entry: Entry
    manifest: Manifest
    files: Mapping[str, Path]
    """Where each file of the manifest lies, by its name there; read-only."""


class Registry:
    """A folder: `files/` holds manifests and model files by their digest, `registry.sqlite` versions and labels.

    A manifest's digest is its version, so nothing that was registered can change; what moves is the label. Files are
    written before the row that names them, so a crash leaves nothing half registered. What is read is verified.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._content = Content(folder / "files")
        self._catalogue = Catalogue(folder / "registry.sqlite")

    def register(self, manifest: Manifest, files: Mapping[str, Path | bytes], *, by: str, now: int) -> Entry:
        """Keeps a manifest with its files (by name: a path to copy, or bytes) and returns its entry, in stage shadow.

        The manifest's `files` are filled in; if it has some already they must be these. Registering the same again
        changes nothing and returns the same entry.
        """
        _named(by)
        digests = {name: self._content.put(_bytes(name, source)) for name, source in files.items()}
        if manifest.files and dict(manifest.files) != digests:
            message = "the files are not those of the manifest"
            raise RegistryError("DIGEST", message, where=manifest.name, value=digests)
        manifest = manifest.with_files(digests)
        digest = self._content.put(manifest.to_json().encode())
        return self._catalogue.add(manifest.name, manifest.version, digest, by=by, now=now)

    def load(self, ref: str) -> RegisteredModel:
        """The version that `name@version`, `name@latest` or `name@` and a stage means. Raises RegistryError."""
        entry = self.entry(ref)
        text = self._content.read(entry.digest, name=f"manifest of {entry.ref}").decode()
        manifest = Manifest.from_json(text, where=f"manifest of {entry.ref}")
        files = {}
        for name, digest in manifest.files.items():
            self._content.read(digest, name=name)
            files[name] = self._content.path(digest)
        return RegisteredModel(entry, manifest, files)

    def entry(self, ref: str) -> Entry:
        """The entry that a reference means, without reading its files."""
        name, at, wanted = ref.partition("@")
        if not (name and at and wanted):
            advice = "Write name@version, name@latest, or name@live (shadow, canary, retired)."
            raise RegistryError("BAD_REF", f'"{ref}" is no reference', value=ref, next_step=advice)
        entries = self._catalogue.entries()
        of_name = [entry for entry in entries if entry.name == name]
        if not of_name:
            advice = did_you_mean(name, {entry.name for entry in entries})
            raise RegistryError("NOT_FOUND", f'no model "{name}"', where=str(self.folder), next_step=advice)
        for entry in reversed(of_name):
            if wanted in ("latest", entry.stage, entry.version):
                return entry
        known = ", ".join(f"{entry.version} ({entry.stage})" for entry in of_name)
        what = f"{wanted} version" if wanted in STAGES else f'version "{wanted}"'
        message = f'model "{name}" has no {what}'
        raise RegistryError("NOT_FOUND", message, where=str(self.folder), next_step=f"Versions are: {known}.")

    def list(self) -> tuple[Entry, ...]:
        """Every version, oldest first."""
        return tuple(self._catalogue.entries())

    def history(self, name: str | None = None) -> tuple[AuditRow, ...]:
        """Every change, oldest first; of one model or of all."""
        return tuple(self._catalogue.audit(name))

    def promote(self, ref: str, stage: str, *, by: str, reason: str, now: int) -> Entry:
        """Gives a version another label. The version that was live (or canary) before is retired by the same step."""
        _named(by)
        if stage not in STAGES:
            raise RegistryError("STAGE", f'no stage "{stage}"', next_step=did_you_mean(stage, STAGES))
        if not reason.strip():
            raise RegistryError("ANONYMOUS", "a change of stage needs a reason")
        return self._catalogue.move(self.entry(ref), stage, by=by, reason=reason, now=now)


def _named(by: str) -> None:
    if not by.strip():
        raise RegistryError("ANONYMOUS", "a change of the registry needs a name", next_step="Use --by.")


def _bytes(name: str, source: Path | bytes) -> bytes:
    if isinstance(source, bytes):
        return source
    try:
        return source.read_bytes()
    except OSError as error:
        raise RegistryError("NOT_FOUND", f'"{name}" cannot be read: {error.strerror}', where=str(source)) from error
