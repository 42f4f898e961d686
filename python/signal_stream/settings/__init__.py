"""The deployment file and the environment, read once: `load_deployment(path)`, `environment()`.

A part's own settings class is made from `SourceSettings`, `SinkSettings`, `GuardSettings` or `ObserverSettings`; the types of
`values` read durations ("100ms"), shares ("1%") and names.
"""

from .address import Address
from .deployment import Deployment, load_deployment
from .environment import DEPLOYMENT_VARIABLE, Environment, environment
from .grpc import GrpcSettings
from .guards import GuardLimits, GuardSettings
from .health import HealthSettings
from .journal import JournalSettings
from .metrics import MetricsSettings
from .model import ModelSettings
from .model_guards import guard_text, model_guards
from .observer import ObserverSettings
from .pipeline import PipelineSettings
from .section import Problem, Section
from .sink import SinkSettings
from .source import SourceSettings
from .tape import TapeSettings
from .toml_lines import TomlLines

__all__ = [
    "DEPLOYMENT_VARIABLE",
    "Address",
    "Deployment",
    "Environment",
    "GrpcSettings",
    "GuardLimits",
    "GuardSettings",
    "HealthSettings",
    "JournalSettings",
    "MetricsSettings",
    "ModelSettings",
    "ObserverSettings",
    "PipelineSettings",
    "Problem",
    "Section",
    "SinkSettings",
    "SourceSettings",
    "TapeSettings",
    "TomlLines",
    "environment",
    "guard_text",
    "load_deployment",
    "model_guards",
]
