"""Fits a line to the return of the next five minutes, and writes it as m.onnx."""

import pyarrow.parquet as pq
from sklearn.linear_model import LinearRegression

import signal_stream as ss

graph = ss.load_graph("graph.py")
table = ss.label.forward_return(pq.read_table("features.parquet"), "5m", price="close")
rows = table.to_pandas().dropna()
model = LinearRegression().fit(rows[list(graph.features)], rows["fwd_5m"])
ss.save_onnx(model, "m.onnx", columns=graph.features, rows=rows, signal="fwd_5m", horizon="5m")
