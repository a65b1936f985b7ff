/* python.h - the quick calls of abi.h as Python functions that take arrays.
 *
 * cffi makes an object of every pointer that is handed over, 0.25 us each: with three arrays more
 * than a short filter takes. These functions ask the arrays for their memory themselves, by the
 * buffer protocol. setup.py includes this file into the module that cffi writes.
 *
 * bind(address, takes_weights, keep, canceled) returns run(x, y), or call(x, w, bias, y), for the
 * ck_quick at `address`, which `keep` keeps alive. Both answer the code of the C function; 1 if an
 * array is not contiguous, or y not writeable; what `canceled` raises if the call was.
 */
#include <string.h>

/* Calls shorter than this keep the GIL: giving it up and taking it costs 0.1 us. */
#define CK_GIL_FROM 20e-6

typedef struct ck_bound {
    const ck_quick *quick;
    int releases_gil;
} ck_bound;

enum { CK_BOUND, CK_KEEP, CK_CANCELED }; /* what a bound function's `self` holds */

static const ck_bound *ck_bound_of(PyObject *self)
{
    return (const ck_bound *)PyBytes_AsString(PyTuple_GetItem(self, CK_BOUND));
}

static int ck_memory(PyObject *array, Py_buffer *memory, int flags)
{
    if (PyObject_GetBuffer(array, memory, flags) == 0) return 1;
    PyErr_Clear();
    return 0;
}

static PyObject *ck_answer(PyObject *self, int32_t code)
{
    if (code == CK_ECANCELED) {
        PyObject *none = PyObject_CallObject(PyTuple_GetItem(self, CK_CANCELED), NULL);
        if (!none) return NULL;
        Py_DECREF(none);
    }
    return PyLong_FromLong(code);
}

static PyObject *ck_bound_run(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    const ck_bound *bound = ck_bound_of(self);
    Py_buffer x, y;
    int32_t code = 1;
    if (count != 2 || !ck_memory(args[0], &x, PyBUF_SIMPLE)) return PyLong_FromLong(1);
    if (ck_memory(args[1], &y, PyBUF_WRITABLE)) {
        PyThreadState *state = bound->releases_gil ? PyEval_SaveThread() : NULL;
        code = ck_quick_run(bound->quick, x.buf, y.buf);
        if (state) PyEval_RestoreThread(state);
        PyBuffer_Release(&y);
    }
    PyBuffer_Release(&x);
    return ck_answer(self, code);
}

static PyObject *ck_bound_call(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
    const ck_bound *bound = ck_bound_of(self);
    Py_buffer memory[4] = {{0}}; /* x, w, bias, y */
    int32_t code = 1;
    int held = 0, is_here = count == 4;
    for (; is_here && held < 4; held++) {
        if (held == 2 && args[2] == Py_None) continue;
        is_here = ck_memory(args[held], &memory[held], held == 3 ? PyBUF_WRITABLE : PyBUF_SIMPLE);
        if (!is_here) break;
    }
    if (is_here) {
        PyThreadState *state = bound->releases_gil ? PyEval_SaveThread() : NULL;
        code = ck_quick_call(bound->quick, memory[0].buf, memory[1].buf, memory[2].buf,
                             memory[3].buf);
        if (state) PyEval_RestoreThread(state);
    }
    while (held-- > 0)
        if (memory[held].obj) PyBuffer_Release(&memory[held]);
    return ck_answer(self, code);
}

static PyObject *ck_bind(PyObject *module, PyObject *args)
{
    static PyMethodDef run = {"run", (PyCFunction)(void (*)(void))ck_bound_run, METH_FASTCALL,
                              "Convolve x into y."};
    static PyMethodDef call = {"call", (PyCFunction)(void (*)(void))ck_bound_call, METH_FASTCALL,
                               "Convolve x with w into y."};
    Py_ssize_t address;
    int takes_weights;
    PyObject *keep, *canceled;
    (void)module;
    if (!PyArg_ParseTuple(args, "npOO", &address, &takes_weights, &keep, &canceled)) return NULL;
    ck_bound bound;
    memset(&bound, 0, sizeof bound);
    bound.quick = (const ck_quick *)address;
    bound.releases_gil = bound.quick->conv->seconds >= CK_GIL_FROM;
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)&bound, sizeof bound);
    PyObject *self = bytes ? Py_BuildValue("(NOO)", bytes, keep, canceled) : NULL;
    if (!self) return NULL;
    PyObject *function = PyCFunction_NewEx(takes_weights ? &call : &run, self, NULL);
    Py_DECREF(self);
    return function;
}

/* The address of a new reference to `bind`: cffi itself hands no Python objects over. */
static uintptr_t ck_python_bind(void)
{
    static PyMethodDef bind = {"bind", ck_bind, METH_VARARGS, "Bind a quick call."};
    PyGILState_STATE state = PyGILState_Ensure(); /* cffi calls without it */
    PyObject *function = PyCFunction_NewEx(&bind, NULL, NULL);
    PyGILState_Release(state);
    return (uintptr_t)function;
}
