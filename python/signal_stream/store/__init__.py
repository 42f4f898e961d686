"""What is remembered, under the pipeline's state folder.

    state/journal/*.arrows     the Journal: every signal, veto, latch and count, once
    state/journal.head         how many of its records are on the disk: a witness of its length
    state/latches.jsonl        the Latches: who killed what, and why
    state/journal/latches.jsonl    their copy
    state/snapshots/           the Snapshots: where a restarted pipeline goes on
    state/status.json          the Status: how the pipeline is, written about once a second
    state/journal.bell         written when the journal has grown, for processes that follow it
    state/lock                 names the process that serves

`State` says where each lies and opens them in the order that makes a lost file visible.
"""

from .bell import Bell
from .follower import JournalFollower, JournalPlace
from .journal import KINDS, Journal
from .journal_end import JournalEnd
from .latch import Latch
from .latches import Latches
from .listener import JournalListener
from .reader import JournalReader
from .recovery import Recovery
from .snapshots import Snapshot, Snapshots
from .state import State
from .status import Status
from .tail import JournalTail

__all__ = [
    "KINDS",
    "Bell",
    "Journal",
    "JournalEnd",
    "JournalFollower",
    "JournalListener",
    "JournalPlace",
    "JournalReader",
    "JournalTail",
    "Latch",
    "Latches",
    "Recovery",
    "Snapshot",
    "Snapshots",
    "State",
    "Status",
]
