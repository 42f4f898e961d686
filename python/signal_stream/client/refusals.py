"""What a server said instead of an answer, as one of our errors."""

from __future__ import annotations

from typing import Final

import grpc

from signal_stream.errors import RemoteError

_CODES: Final = {
    grpc.StatusCode.UNAVAILABLE: "UNREACHABLE",
    grpc.StatusCode.DEADLINE_EXCEEDED: "UNREACHABLE",
    grpc.StatusCode.UNAUTHENTICATED: "REFUSED",
    grpc.StatusCode.PERMISSION_DENIED: "REFUSED",
    grpc.StatusCode.INVALID_ARGUMENT: "REQUEST",
    grpc.StatusCode.FAILED_PRECONDITION: "REQUEST",
    grpc.StatusCode.UNIMPLEMENTED: "REQUEST",
    grpc.StatusCode.NOT_FOUND: "NOT_FOUND",
    grpc.StatusCode.OUT_OF_RANGE: "NOT_FOUND",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "CUT_OFF",
}
_NEXT_SEQ: Final = "next-seq"
_ADVICE: Final = {
    "UNREACHABLE": "Is it served with [grpc] listen, and reachable from here? Over TLS, do the certificates fit?",
}


def remote_error(error: grpc.RpcError, address: str) -> RemoteError:
    """The error for a call that failed. `value` is where a subscription may go on, None if the server did not say."""
    assert isinstance(error, grpc.Call)
    code = error.code()
    found = _CODES.get(code, "FAILED")
    seq = next((int(value) for name, value in error.trailing_metadata() or () if name == _NEXT_SEQ), None)
    return RemoteError(found, error.details() or code.name, where=address, value=seq, next_step=_ADVICE.get(found, ""))
