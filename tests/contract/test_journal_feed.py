"""Whoever follows a journal through the gateway hears of it also after its folder was removed and made anew."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from signal_stream.store import Bell, State


@pytest.mark.parametrize("is_open", [True, False])
def test_a_folder_that_was_made_anew_is_watched(tmp_path: Path, is_open: bool) -> None:
    """Also where a file of the removed one is still open, of which the kernel gives no notice."""
    from signal_stream.gateway.journal_feed import JournalFeed

    folder = tmp_path / "state"

    async def follow() -> bool:
        folder.mkdir()
        feed = JournalFeed(State(folder))
        feed.begin()
        held = (folder / "held").open("w") if is_open else None
        shutil.rmtree(folder)
        folder.mkdir()
        for _ in range(3):
            await asyncio.sleep(0)  # what the kernel said of the folder that is gone is taken
        feed.begin()
        heard = asyncio.Event()
        feed.look = heard.set  # type: ignore[method-assign]
        Bell(folder).ring()
        try:
            await asyncio.wait_for(heard.wait(), 10)
        finally:
            feed.close()
            if held is not None:
                held.close()
        return heard.is_set()

    assert asyncio.run(follow())
