"""Several deployments and helper processes, run together: `signal-stream up stack.toml`.

Each is a process of its own and a component: started when what it needs is up, started again alone when it ends, stopped in
reverse. `status` is one document of them all.
"""
