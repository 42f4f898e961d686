"""The model registry: manifests and files that never change, labels that move, and who moved them.

registry = Registry(Path("registry"))
entry = registry.register(manifest, {"model.onnx": Path("m.onnx")}, by="ann", now=now)
registry.promote(entry.ref, "live", by="ann", reason="two weeks in shadow", now=now)
model = registry.load("btc_micro@live")        # digests verified
model.manifest, model.files["model.onnx"]
"""

from .catalogue import STAGES, AuditRow, Entry
from .manifest import Distribution, Golden, Manifest, Output
from .registry import RegisteredModel, Registry, StageWatch

__all__ = [
    "STAGES",
    "AuditRow",
    "Distribution",
    "Entry",
    "Golden",
    "Manifest",
    "Output",
    "RegisteredModel",
    "Registry",
    "StageWatch",
]
