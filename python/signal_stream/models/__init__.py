"""Models: rows in, predictions out, by a deadline; each in a worker process that may die or hang without harm.

`OnnxModel` and `PythonModel` are two of `signal_stream.roles.Model`. Inside, a call goes `isolated` -> the ring (`_core.Ring`)
-> `worker` -> `session` or `python_session` and back; `process` is one worker process, `supervisor` replaces it, `placement`
says on which CPU.
"""

from signal_stream.models.isolated import IsolatedModel, ModelStatus, WorkerOptions
from signal_stream.models.onnx import OnnxModel
from signal_stream.models.python import PythonModel

__all__ = ["IsolatedModel", "ModelStatus", "OnnxModel", "PythonModel", "WorkerOptions"]
