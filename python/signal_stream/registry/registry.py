"""Models by name: what was registered, and which version a reference means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from signal_stream.errors import RegistryError, did_you_mean

from .catalogue import STAGES, AuditRow, Catalogue, Entry
from .content import Content, digest_of
from .manifest import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SERVED: Final = ("live", "canary", "shadow")
"""Stages that a pipeline serves: signals of the last are journaled, and go to no sink."""
_IS: Final = {"retired": "retired", "none": "without a stage"}
_SHORT_REF: Final = 4
"""So many digits of a version are enough, where only one begins with them."""


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
        returns the same entry, which is the latest from now on, unless it is retired: then nothing changes.
        """
        _named(by)
        data = {name: _bytes(name, source) for name, source in files.items()}
        digests = {name: digest_of(each) for name, each in data.items()}
        if manifest.files and dict(manifest.files) != digests:
            message = "the files are not those of the manifest"
            raise RegistryError("DIGEST", message, where=manifest.name, value=digests)
        manifest = manifest.changed(files=digests)
        text = manifest.to_json().encode()
        self._check_tables({*digests.values(), digest_of(text)})
        for name, each in data.items():
            self._content.put(each, name=name)
        digest = self._content.put(text, name=f"manifest of {manifest.name}@{manifest.version}")
        return self._catalogue.add(manifest.name, manifest.version, digest, by=by, now=now)

    def _check_tables(self, new: set[str]) -> None:
        """RegistryError where files are there that only tables which are gone can name: new tables would be the end of them."""
        others = self._content.digests() - new
        if others and not self._catalogue.is_there():
            left = (
                "a file of what was registered is"
                if len(others) == 1
                else f"{len(others):,} files of what was registered are"
            )
            raise RegistryError(
                "UNREADABLE", f"the registry's tables are gone, and {left} still there",
                where=str(self.folder / "registry.sqlite"),
                next_step="Restore it from a copy, or name another --registry: new tables would not know what was registered.",
            )  # fmt: skip

    def load(self, ref: str) -> RegisteredModel:
        """The version that a reference means, with its files. Raises RegistryError.

        References are `name@version` (or its first 4 digits and more), `name@latest` (the newest registration that is
        not retired) or `name@` and a stage.
        """
        entry = self.entry(ref)
        manifest = self.manifest(entry)
        return RegisteredModel(entry, manifest, self._files(manifest))

    def check(self, entry: Entry) -> Manifest:
        """A version's manifest, if it and all files that it names are those that were registered. Raises RegistryError or
        ManifestError for the first that is not."""
        manifest = self.manifest(entry)
        self._files(manifest)
        return manifest

    def _files(self, manifest: Manifest) -> dict[str, Path]:
        for name, digest in manifest.files.items():
            self._content.read(digest, name=f"{name} of {manifest.name}@{manifest.version}")
        return {name: self._content.path(digest) for name, digest in manifest.files.items()}

    def manifest(self, entry: Entry) -> Manifest:
        """A version's manifest, its digest verified. Raises RegistryError or ManifestError."""
        text = self._content.read(entry.digest, name=f"manifest of {entry.ref}").decode()
        manifest = Manifest.from_json(text, where=f"manifest of {entry.ref}")
        if (manifest.name, manifest.version) != (entry.name, entry.version):
            message = f"the row of {entry.ref} names the manifest of {manifest.name}@{manifest.version}"
            raise RegistryError("DIGEST", message, where=str(self.folder), next_step="Restore the tables from a copy.")
        return manifest

    def entry(self, ref: str) -> Entry:
        """The entry that a reference means, without reading its files.

        Raises RegistryError, code AUDIT where a stage of that model is not the one of its history.
        """
        of_name = self._of_name(ref)
        for each in of_name:
            if each.stage != each.stage_audited:
                raise RegistryError(
                    "AUDIT", f'{each.ref} has stage "{each.stage}", its history says "{each.stage_audited}": '
                    "it was changed without an audit row", where=str(self.folder), value=each.stage,
                    next_step=f"Say what is right: signal-stream models promote {each.ref} STAGE --by NAME --reason TEXT.",
                )  # fmt: skip
        return self._meant(ref, of_name)

    def _of_name(self, ref: str) -> list[Entry]:
        """All versions of the model that a reference names, in the order of their newest registration."""
        name, at, wanted = ref.partition("@")
        if not (name and at and wanted):
            advice = "Write name@version, name@latest, or name@live (shadow, canary, retired)."
            raise RegistryError("BAD_REF", f'"{ref}" is no reference', value=ref, next_step=advice)
        entries = self._catalogue.entries()
        of_name = [entry for entry in entries if entry.name == name]
        if not of_name:
            advice = did_you_mean(name, {entry.name for entry in entries})
            raise RegistryError("NOT_FOUND", f'no model "{name}"', where=str(self.folder), next_step=advice)
        return of_name

    def _meant(self, ref: str, of_name: list[Entry]) -> Entry:
        name, _, wanted = ref.partition("@")
        if wanted == "latest":
            found = [entry for entry in of_name if entry.stage_audited != "retired"][-1:]
        elif wanted in STAGES:
            found = [entry for entry in of_name if entry.stage_audited == wanted][-1:]
        else:
            short = len(wanted) >= _SHORT_REF
            found = [entry for entry in of_name if entry.version == wanted] or [
                entry for entry in of_name if short and entry.version.startswith(wanted)
            ]
        if len(found) == 1:
            return found[0]
        known = ", ".join(f"{entry.version} ({entry.stage_audited})" for entry in of_name)
        if found:
            message = f'{len(found)} versions of model "{name}" begin with "{wanted}"'
        elif wanted == "latest":
            message = f'every version of model "{name}" is retired'
        else:
            what = f"{wanted} version" if wanted in STAGES else f'version "{wanted}"'
            message = f'model "{name}" has no {what}'
        raise RegistryError("NOT_FOUND", message, where=str(self.folder), next_step=f"Versions are: {known}.")

    def may_be_served(self, entry: Entry) -> Entry:
        """The entry, if its stage allows that it is served. Raises RegistryError STAGE for a retired version."""
        if entry.stage_audited in SERVED:
            return entry
        raise RegistryError(
            "STAGE", f"{entry.ref} is {_IS[entry.stage_audited]}, and only {', '.join(SERVED)} versions are served",
            where=str(self.folder), value=entry.stage_audited,
            next_step=f"signal-stream models promote {entry.ref} live --by NAME --reason TEXT --registry {self.folder}",
        )  # fmt: skip

    def list(self) -> tuple[Entry, ...]:
        """Every version, in the order of their newest registration."""
        return tuple(self._catalogue.entries())

    def history(self, name: str | None = None) -> tuple[AuditRow, ...]:
        """Every change, oldest first; of one model or of all."""
        return tuple(self._catalogue.audit(name))

    def changed(self) -> tuple[int, int]:
        """Something that differs after each change of the tables: for who looks often."""
        return self._catalogue.changed()

    def promote(self, ref: str, stage: str, *, by: str, reason: str, now: int) -> Entry:
        """Gives a version another label. The version that was live (or canary) before is retired by the same step.

        A stage that was changed without an audit row is put right by this: the history goes on from what it says. Raises
        RegistryError DIGEST where the files of a version that is to be served are not those that were registered.
        """
        _named(by)
        if stage not in STAGES:
            raise RegistryError("STAGE", f'no stage "{stage}"', next_step=did_you_mean(stage, STAGES))
        if not reason.strip():
            raise RegistryError("ANONYMOUS", "a change of stage needs a reason")
        entry = self._meant(ref, self._of_name(ref))
        if stage in SERVED:
            self.check(entry)  # a version that nothing can load is not what anything is to serve
        return self._catalogue.move(entry, stage, by=by, reason=reason, now=now)


class StageWatch:
    """Tells of the versions that a pipeline serves when they are no longer those that its deployment means.

    `look` reads the tables only where they have changed, so it may be asked once a second on a pipeline's own thread.
    """

    def __init__(self, registry: Registry, served: Mapping[str, Entry]) -> None:
        """`served` maps each reference, as the deployment has it, to the entry that it meant when it was opened."""
        self._registry = registry
        self._served = dict(served)
        self._seen: object = None
        self._found: dict[str, str] = {}

    def look(self) -> Mapping[str, str]:
        """For each served `name@version` that is not what its reference means now, a sentence that says so."""
        changed = self._registry.changed()
        if changed != self._seen:
            self._seen = changed
            self._found = {}
            for ref, served in self._served.items():
                if said := self._differs(ref, served):
                    self._found[served.ref] = said
        return self._found

    def _differs(self, ref: str, served: Entry) -> str:
        try:
            now = self._registry.entry(served.ref)
        except RegistryError as error:
            return f"{served.ref} serves on as it was loaded: {error}"
        wanted = ref.partition("@")[2]
        try:
            meant = self._registry.entry(ref).ref
        except RegistryError:
            meant = "none"
        said = []
        if meant != served.ref:
            said.append(f"{wanted} is {meant}, serving {served.ref}")
        if now.stage_audited != served.stage_audited:
            said.append(
                f"{served.ref} is {now.stage_audited} now, and serves as {served.stage_audited} until a restart"
            )
        return "; ".join(said)


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
