"""A desk's own parts for signal-stream."""
