"""Models: rows in, predictions out, by a deadline; each in a worker process that may die or hang without harm.

`OnnxModel` is one of `signal_stream.roles.Model`. Inside, a call goes `isolated` -> the ring (`_core.Ring`) -> `worker` ->
`session` and back; `process` is one worker process, `supervisor` replaces it, `placement` says on which CPU.
"""

from signal_stream.models.isolated import IsolatedModel, ModelStatus, WorkerOptions
from signal_stream.models.onnx import OnnxModel

__all__ = ["IsolatedModel", "ModelStatus", "OnnxModel", "WorkerOptions"]
