"""Research: the batch composition. A graph over history, labels, splits, training sets, parity, registration."""
