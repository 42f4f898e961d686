//! A shared-memory ring between the pipeline and a model worker: futex, deadlines, liveness.
