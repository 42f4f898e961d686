"""The ends of a stream, each a process of its own: `python -m benches.streams ROLE …`.

    serve GAP_US BYTES       a bare grpcio server: messages of so many bytes, so far apart, each with the time when it was sent
    listen ADDRESS COUNT     reads so many of them, and prints their ways
    subscribe ADDRESS FROM COUNT  the same of a pipeline's signals: prints when each came
    idle ADDRESS COUNT [METRICS]  so many subscribers that read what comes, and a scrape a second, until standard input ends

Times are those of the monotonic clock, which processes share.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

import grpc

_METHOD = "/bench.Stream/Listen"
_STAMP = 8


def serve(gap_us: str, size: str) -> None:
    """Prints its address; ends with standard input."""
    payload, gap_s = bytes(int(size) - _STAMP), int(gap_us) / 1e6

    def messages(_request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        while context.is_active():
            if gap_s:
                time.sleep(gap_s)
            yield time.monotonic_ns().to_bytes(_STAMP, "little") + payload

    _, service, name = _METHOD.split("/")
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(service, {name: grpc.unary_stream_rpc_method_handler(messages)}),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"127.0.0.1:{port}", flush=True)
    sys.stdin.read()
    server.stop(0)


def listen(address: str, count: str) -> None:
    """Nanoseconds of each message's way, and between the first and the last."""
    with grpc.insecure_channel(address) as channel:
        ways, times = [], []
        for message in islice(channel.unary_stream(_METHOD)(b""), int(count)):
            times.append(now := time.monotonic_ns())
            ways.append(now - int.from_bytes(message[:_STAMP], "little"))
    print(json.dumps({"ways": ways, "ns": times[-1] - times[0]}))


def subscribe(address: str, from_seq: str, count: str) -> None:
    """Says that it has begun; then when each signal came, by its number."""
    import signal_stream as ss

    with ss.connect(address) as pipeline:
        subscription = pipeline.signals(from_seq=int(from_seq)).wait_begun()
        print("begun", flush=True)
        came = [(each.seq, time.monotonic_ns()) for each in islice(subscription, int(count))]
    print(json.dumps(came))


def idle(address: str, count: str, metrics: str = "") -> None:
    """Says that all have begun."""
    import signal_stream as ss

    def read(subscription: ss.client.Subscription) -> None:
        for _ in subscription:
            pass

    with ss.connect(address) as pipeline:
        for _ in range(int(count)):
            subscription = pipeline.signals().wait_begun()
            threading.Thread(target=read, args=(subscription,), daemon=True).start()
        print("begun", flush=True)
        ended = threading.Event()
        threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
        while not ended.wait(1.0):
            if metrics:
                for page in ("metrics", "livez"):
                    with suppress(urllib.error.HTTPError):  # its events are given by hand: it is called silent
                        urllib.request.urlopen(f"http://{metrics}/{page}", timeout=5).read()


if __name__ == "__main__":
    {"serve": serve, "listen": listen, "subscribe": subscribe, "idle": idle}[sys.argv[1]](*sys.argv[2:])
