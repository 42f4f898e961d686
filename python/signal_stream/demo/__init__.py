"""What `signal-stream demo` needs beside the other commands: a market, a graph, a fit, a served stream, a picture.

`commands/demo.py` tells the story and calls the same commands that a user would type; here is what no command does.
"""
