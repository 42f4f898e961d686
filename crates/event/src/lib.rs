//! The vocabulary: timestamps, exact decimals, market events and their Arrow schemas.
