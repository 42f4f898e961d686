"""A model in Python: how far the last second's flow leans to one side, from -1 to 1.

Registered as a file, with its digest; served in a worker process of its own.
"""

import numpy as np

SCALE = 2.0


def predict(rows: np.ndarray, instruments: list[str], times: np.ndarray) -> np.ndarray:
    """A number a row; the columns are the graph's features in their order."""
    return np.tanh(rows[:, 0] / SCALE)
