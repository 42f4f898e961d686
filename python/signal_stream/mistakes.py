"""What the command line says of an error that reached it: a line for what the user or the system did, a report for ours."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from typing import TYPE_CHECKING, Final

from signal_stream.errors import SignalStreamError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NEXT_STEP: Final = {
    errno.EACCES: "Check who may read and write there.",
    errno.EPERM: "Check who may read and write there.",
    errno.EROFS: "Name a place that can be written.",
    errno.ENOSPC: "Free some space.",
    errno.EDQUOT: "Free some space, or have the quota raised.",
    errno.EFBIG: "Raise the limit of file sizes (ulimit -f).",
    errno.ENAMETOOLONG: "Give a shorter name.",
    errno.ENOTDIR: "A file lies where a folder belongs: name another place.",
    errno.EEXIST: "Something else lies there: name another place.",
    errno.EISDIR: "Name a file.",
    errno.ENOENT: "Check the path.",
    errno.ELOOP: "The links lead in a circle: name the file itself.",
    errno.ENOTEMPTY: "Name an empty folder.",
    errno.ENXIO: "Name a regular file.",
    errno.ENODEV: "Name a regular file.",
    errno.EIO: "The disk fails: see the system's log.",
    errno.EAGAIN: "The system has no more processes or memory for this user (ulimit -u).",
    errno.ENOMEM: "Free some memory.",
}
_OPEN_FILES: Final = (errno.EMFILE, errno.ENFILE)
_OPEN_FILES_TEXT: Final = os.strerror(errno.EMFILE)
_BACK: Final = 20
"""How far the causes of an error are followed."""


def report(error: BaseException) -> int:
    """Prints what there is to say on standard error; the exit code: 2 for what the user can mend, 1 for our defects."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()  # type: ignore[attr-defined]
        return 2
    line = explained(error)
    if line is not None:
        print(line, file=sys.stderr)
        return error.exit_code if isinstance(error, SignalStreamError) else 2
    traceback.print_exception(error, file=sys.stderr)
    print("This is a defect of signal-stream. Please report it, with the lines above.", file=sys.stderr)
    return 1


def explained(error: BaseException) -> str | None:
    """An error in a line or two; None if it is nobody's mistake but ours.

    >>> explained(FileNotFoundError(2, "No such file or directory", "a.toml"))
    'a.toml: No such file or directory. Check the path.'
    >>> explained(KeyError("x")) is None
    True
    """
    if any(_is_open_files(each) for each in _causes(error)):
        where = f"{_file_of(error)}: " if _file_of(error) else ""
        return f"{where}too many open files for this process. Raise the limit (ulimit -n), to 256 or more."
    if isinstance(error, SignalStreamError):
        return str(error)
    if (of_usage := getattr(error, "format_message", None)) is not None:
        context = getattr(error, "ctx", None)
        advice = f" See `{context.command_path} --help`." if context is not None else ""
        said = of_usage()
        return f"{said}{'' if said.endswith(('.', '?')) else '.'}{advice}"
    if isinstance(error, OSError) and error.errno is not None:
        where = _file_of(error)
        said = f"{error.strerror or errno.errorcode.get(error.errno, 'an error of the system')}"
        advice = _NEXT_STEP.get(error.errno, "")
        return f"{where}{': ' if where else ''}{said}. {advice}".rstrip()
    if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):
        return f"{str(error).partition('from ')[2]}: {_NEXT_STEP[errno.ELOOP]}"
    if isinstance(error, MemoryError):
        return "The memory that this process may use is not enough (ulimit -v, or the container's limit)."
    if type(error).__name__ == "CoreError" and len(error.args) > 1:
        return f"{error.args[1]}."
    return None


def _file_of(error: BaseException) -> str:
    if not isinstance(error, OSError):
        return ""
    names = [os.fsdecode(name) if isinstance(name, bytes) else str(name) for name in (error.filename, error.filename2)
             if name is not None]  # fmt: skip
    return " and ".join(names)


def _is_open_files(error: BaseException) -> bool:
    return (isinstance(error, OSError) and error.errno in _OPEN_FILES) or _OPEN_FILES_TEXT in str(error)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what brought it about."""
    at: BaseException | None = error
    for _ in range(_BACK):
        if at is None:
            return
        yield at
        at = at.__cause__ or at.__context__
