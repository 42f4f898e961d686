"""The works that are measured, one file each.

Each has `measure(*, quick: bool) -> Iterator[Figure]` and runs in a process of its own (`python -m benches.works
NAME`), so that none leaves its heap, its threads or its CPU to the next. `quick` tries it out: fewer rows and rounds.
"""

WORKS = {
    "event_call": "graph of 23 outputs, one event a call from Python",
    "live_batches": "graph of 23 outputs, live in batches of 256 rows",
    "wasm": "graph of 23 outputs as a WASM module in a browser",
    "batch": "graph of 23 outputs over 10 M rows on one thread",
    "instruments": "many instruments against few",
    "cross_section": "a moment across 3,000 instruments",
    "operators": "each operator beside screamer, TA-Lib, polars and csp",
    "history": "what history does to a window, beside pandas, polars and csp",
    "ingest": "captures and tapes to events and books",
    "soak": "what a frame takes after a long run, and memory",
    "signal_latency": "event in, signal out, with an isolated model",
    "sinks": "event in, signal out, while sinks follow the journal, and while they are dead",
    "kafka": "a topic to events and books beside a bare loop, and signals into a topic",
    "subscribers": "signals over gRPC beside a bare stream, and what being seen costs the line",
    "two_models": "two isolated models asked at once, against one",
    "deadlines": "answers while a model's worker hangs or is dead",
    "backfill_memory": "memory that a backfill of 10 M rows takes",
    "start": "import, and serve until the first signal",
    "recovery": "a restart and a replay behind long logs",
    "scrape": "metrics of 50 models, scraped over HTTP",
    "components": "ten components on three levels, and the status document",
    "footprint": "what an installation weighs",
}

BESIDE_PEERS = ("operators", "history")
"""Those that need the group `bench`, which has an environment of its own: csp wants an older Arrow than ours."""
