// Two floors for the graph of 23 outputs, as a CPython extension.
//
//   c_ext_buf  update(row, out): one event a call from Python, float64 buffers in and out
//   c_loop     run(rows, out):   all rows in one C loop; `out` holds some rows and is filled again and again
//
// One state for the module; `reset()` empties it. `run` returns the seconds that the loop took.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>

#include "graph23.h"

static graph23_t state;

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static PyObject *reset(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    graph23_reset(&state);
    Py_RETURN_NONE;
}

// Buffers of whole rows. Returns 0 with an exception set if they are none.
static int buffers(PyObject *const *args, Py_ssize_t count, Py_buffer *in, Py_buffer *out) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "rows and out are needed");
        return 0;
    }
    if (PyObject_GetBuffer(args[0], in, PyBUF_SIMPLE)) return 0;
    if (PyObject_GetBuffer(args[1], out, PyBUF_WRITABLE)) {
        PyBuffer_Release(in);
        return 0;
    }
    const Py_ssize_t row = FIELDS * sizeof(double), vector = OUTPUTS * sizeof(double);
    if (in->len % row == 0 && out->len % vector == 0 && out->len > 0) return 1;
    PyBuffer_Release(in);
    PyBuffer_Release(out);
    PyErr_SetString(PyExc_ValueError, "rows of 16 and out of 23 float64 are needed");
    return 0;
}

static PyObject *update(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    Py_buffer in, out;
    if (!buffers(args, count, &in, &out)) return NULL;
    graph23_update(&state, in.buf, out.buf);
    PyBuffer_Release(&in);
    PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

static PyObject *run(PyObject *self, PyObject *const *args, Py_ssize_t count) {
    (void)self;
    Py_buffer in, out;
    if (!buffers(args, count, &in, &out)) return NULL;
    const Py_ssize_t rows = in.len / (Py_ssize_t)(FIELDS * sizeof(double));
    const Py_ssize_t room = out.len / (Py_ssize_t)(OUTPUTS * sizeof(double));
    const double *row = in.buf;
    const double begun = seconds();
    for (Py_ssize_t left = rows; left > 0;) {
        const Py_ssize_t block = left < room ? left : room;
        double *vector = out.buf;
        for (Py_ssize_t i = 0; i < block; i++, row += FIELDS, vector += OUTPUTS) graph23_update(&state, row, vector);
        left -= block;
    }
    const double took = seconds() - begun;
    PyBuffer_Release(&in);
    PyBuffer_Release(&out);
    return PyFloat_FromDouble(took);
}

static PyMethodDef methods[] = {
    {"reset", reset, METH_NOARGS, NULL},
    {"update", (PyCFunction)(void (*)(void))update, METH_FASTCALL, NULL},
    {"run", (PyCFunction)(void (*)(void))run, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "graph23_c", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_graph23_c(void) { return PyModule_Create(&module); }
