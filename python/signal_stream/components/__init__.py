"""Components: what is started in the order of its needs, watched, started again when it fails, and stopped in reverse.

    components = Components([
        Component("broker", (), broker.start, ready=broker.answers, health=broker.health, stop=broker.end),
        Component("pipeline", ("broker",), pipeline.start, stop=pipeline.end),
    ])
    components.open()     # all are up, or the first error is raised and nothing is left running
    components.run()      # or: watches over them until `ask_stop`, then stops them

Nothing here knows what it runs. The clock and the way a call is put on a thread are arguments, so tests need no sleep.
`PeriodicTasks` is the list of what a thread does now and then, each with how often and how long it may take.
"""

from .component import Backoff, Component, Health
from .lifecycle import Components
from .order import levels
from .periodic import PeriodicTask, PeriodicTasks

__all__ = ["Backoff", "Component", "Components", "Health", "PeriodicTask", "PeriodicTasks", "levels"]
