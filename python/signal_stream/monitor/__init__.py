"""How a pipeline is seen from outside: what its state folder says, and what follows from it.

Nothing here serves, waits or owns a clock: `look` reads the state folder, everything else is a function of what it found.
"""
