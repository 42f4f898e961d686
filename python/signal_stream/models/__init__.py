"""Models: a row in, a prediction out, by a deadline; each in a worker process that may die or hang without harm.

`OnnxModel` is the whole interface. Inside, a call goes `onnx` -> the ring (`_core.Ring`) -> `worker` -> `session` and
back; `process` is one worker process, `supervisor` replaces it, `placement` says on which CPU.
"""

from signal_stream.models.model import Model
from signal_stream.models.onnx import ModelStatus, OnnxModel
from signal_stream.records import Prediction, Status

__all__ = ["Model", "ModelStatus", "OnnxModel", "Prediction", "Status"]
