"""What ONNX Runtime alone takes for one row, as a floor: `python -m benches.bare_onnx MODEL ROWS.npy N CPU GAP_US`.

One thread, buffers bound once, another row each time. Prints one JSON object: p50_ns, p99_ns, n. The gap is slept
through, so that a paced run has the cold caches of a paced pipeline.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time

import numpy as np
import onnxruntime as ort

WARM_UP = 1_000


def main(model: str, rows_file: str, n: int, cpu: int, gap_us: int) -> None:
    """Runs the model `n` times after a warm-up, on one CPU; -1 leaves the placement to the scheduler."""
    if cpu >= 0:
        os.sched_setaffinity(0, {cpu})
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = np.load(rows_file)
    row = np.zeros((1, rows.shape[1]), np.float32)
    name, output = session.get_inputs()[0].name, session.get_outputs()[-1].name
    values = np.zeros(np.shape(session.run([output], {name: row})[0]), np.float32)
    binding = session.io_binding()
    binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(row))
    binding.bind_ortvalue_output(output, ort.OrtValue.ortvalue_from_numpy(values))
    run, clock, took = session.run_with_iobinding, time.perf_counter_ns, []
    gc.collect()
    gc.disable()
    for i in range(n + WARM_UP):
        row[0] = rows[i % len(rows)]
        if gap_us:
            time.sleep(gap_us / 1e6)
        begun = clock()
        run(binding)
        took.append(clock() - begun)
    found = np.sort(took[WARM_UP:])
    print(json.dumps({"p50_ns": int(found[n // 2]), "p99_ns": int(found[int(0.99 * (n - 1))]), "n": n}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]))
