//! Append-only checksummed records as an Arrow IPC stream: frames to bytes and back. Pure.
