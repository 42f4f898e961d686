from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubscribeRequest(_message.Message):
    __slots__ = ("from_seq", "oldest", "filter", "heartbeat_ms")
    FROM_SEQ_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_MS_FIELD_NUMBER: _ClassVar[int]
    from_seq: int
    oldest: bool
    filter: Filter
    heartbeat_ms: int
    def __init__(self, from_seq: _Optional[int] = ..., oldest: _Optional[bool] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ..., heartbeat_ms: _Optional[int] = ...) -> None: ...

class Filter(_message.Message):
    __slots__ = ("models", "instruments", "outcomes", "codes", "stages")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    INSTRUMENTS_FIELD_NUMBER: _ClassVar[int]
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    CODES_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedScalarFieldContainer[str]
    instruments: _containers.RepeatedScalarFieldContainer[str]
    outcomes: _containers.RepeatedScalarFieldContainer[str]
    codes: _containers.RepeatedScalarFieldContainer[str]
    stages: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, models: _Optional[_Iterable[str]] = ..., instruments: _Optional[_Iterable[str]] = ..., outcomes: _Optional[_Iterable[str]] = ..., codes: _Optional[_Iterable[str]] = ..., stages: _Optional[_Iterable[str]] = ...) -> None: ...

class Update(_message.Message):
    __slots__ = ("signals", "next_seq", "end_seq")
    SIGNALS_FIELD_NUMBER: _ClassVar[int]
    NEXT_SEQ_FIELD_NUMBER: _ClassVar[int]
    END_SEQ_FIELD_NUMBER: _ClassVar[int]
    signals: _containers.RepeatedCompositeFieldContainer[Signal]
    next_seq: int
    end_seq: int
    def __init__(self, signals: _Optional[_Iterable[_Union[Signal, _Mapping]]] = ..., next_seq: _Optional[int] = ..., end_seq: _Optional[int] = ...) -> None: ...

class Signal(_message.Message):
    __slots__ = ("seq", "ts_recv_ns", "signal_id", "json")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    TS_RECV_NS_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    seq: int
    ts_recv_ns: int
    signal_id: str
    json: bytes
    def __init__(self, seq: _Optional[int] = ..., ts_recv_ns: _Optional[int] = ..., signal_id: _Optional[str] = ..., json: _Optional[bytes] = ...) -> None: ...

class GetRequest(_message.Message):
    __slots__ = ("signal_id",)
    SIGNAL_ID_FIELD_NUMBER: _ClassVar[int]
    signal_id: str
    def __init__(self, signal_id: _Optional[str] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("state", "reason", "latches", "json")
    STATE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    LATCHES_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    state: str
    reason: str
    latches: _containers.RepeatedScalarFieldContainer[str]
    json: bytes
    def __init__(self, state: _Optional[str] = ..., reason: _Optional[str] = ..., latches: _Optional[_Iterable[str]] = ..., json: _Optional[bytes] = ...) -> None: ...

class KillRequest(_message.Message):
    __slots__ = ("model", "all", "by", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    all: bool
    by: str
    reason: str
    def __init__(self, model: _Optional[str] = ..., all: _Optional[bool] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class RearmRequest(_message.Message):
    __slots__ = ("model", "all", "by", "reason")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    model: str
    all: bool
    by: str
    reason: str
    def __init__(self, model: _Optional[str] = ..., all: _Optional[bool] = ..., by: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class LatchReply(_message.Message):
    __slots__ = ("text", "latch_seq", "ts_ns", "standing")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    LATCH_SEQ_FIELD_NUMBER: _ClassVar[int]
    TS_NS_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    text: str
    latch_seq: int
    ts_ns: int
    standing: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, text: _Optional[str] = ..., latch_seq: _Optional[int] = ..., ts_ns: _Optional[int] = ..., standing: _Optional[_Iterable[str]] = ...) -> None: ...
