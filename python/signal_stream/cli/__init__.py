"""What several commands share: options, the state folder they mean, and how signals, a status and figures are printed.

Nothing here is a command, and no command imports another: what two of them need moves here.
"""
