"""`signal-stream demo`: a market, a graph, a fit, a served stream, a picture. No part of the product needs it.

`steps.py` tells the story, and runs the commands that a user would type; the other files hold what no command does.
"""
