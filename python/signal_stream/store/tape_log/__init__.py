"""A tape log: what a pipeline used, in segments that roll, are compressed, indexed and kept as long as is said.

    NUMBER-FIRST.arrow         the newest segment, or one that is full and not sealed yet
    NUMBER-FIRST.zst.arrow     a sealed segment: the same messages, its columns compressed
    .NAME.sums                 the checksums of a segment's appends, with how many messages each holds
    index.jsonl                where the log begins, and of each sealed segment what it holds: trusted at a start, together
                               with the segments' sizes; `check_log` compares every byte

`TapeLog` writes, `log_batches` reads, `LogLook` looks whether all is there, `seal` and `remove_before` are housekeeping.
"""

from .log import LogPosition, TapeLog
from .look import LogLook, log_folders
from .reading import check_log, log_batches, marks_in
from .recovery import LogCut
from .retention import message_before, newest_ts, remove_before
from .sealing import seal
from .segment import list_segments
from .survey import survey

__all__ = [
    "LogCut",
    "LogLook",
    "LogPosition",
    "TapeLog",
    "check_log",
    "list_segments",
    "log_batches",
    "log_folders",
    "marks_in",
    "message_before",
    "newest_ts",
    "remove_before",
    "seal",
    "survey",
]
