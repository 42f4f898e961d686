"""The process beside a pipeline that shows it to others: metrics and health over HTTP.

The line is one thread of an interpreter: whatever else ran in its process would be seen in its latency. So everything that is
asked from outside is answered here, from what lies in the state folder. `serve` starts the process where the deployment file has
an address to listen at, starts it again when it dies, and ends it by closing its standard input; `signal-stream gateway` runs it
on its own, which also tells of a pipeline that is dead or was never served.

`process` holds the servers (`servers` lists them), `http` is one. A server has a name, `start()` and `stop()`.
"""
