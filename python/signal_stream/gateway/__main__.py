"""`python -m signal_stream.gateway deployment.toml`: the process that `serve` starts."""

from signal_stream.gateway.process import main

main()
