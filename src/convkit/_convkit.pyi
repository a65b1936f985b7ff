"""The compiled module that setup.py builds: csrc/ behind the functions of csrc/abi.h."""

from collections.abc import Sequence
from typing import Any, TypeAlias

CData: TypeAlias = Any  # what cffi hands out: a pointer, a struct, an array

class _Lib:
    CK_OK: int
    CK_EINVAL: int
    CK_ENOMEM: int
    CK_EOVERFLOW: int
    CK_ECANCELED: int
    CK_EOVERLAP: int
    CK_EALIGN: int
    CK_CONSTANT: int
    CK_ZERO: int
    CK_NONE: int
    CK_CLIP: int
    CK_LEAKY_RELU: int
    CK_SIGMOID: int
    CK_TANH: int
    CK_SILU: int
    CK_GELU: int
    CK_HARDSWISH: int
    CK_F32: int
    CK_F64: int
    CK_C64: int
    CK_C128: int
    CK_U8: int
    CK_I8: int
    CK_U16: int
    CK_I16: int
    CK_I32: int
    CK_TYPES: int
    CK_DENSE: int
    CK_SEPARABLE: int
    CK_BOX: int
    CK_AS_IS: int
    CK_FLIPPED: int
    CK_CONJUGATED: int
    ck_kernels: Sequence[CData]
    ck_kernel_count: int
    ck_stream_kernels: Sequence[CData]
    ck_stream_kernel_count: int
    ck_isas: Sequence[CData]
    ck_isa_count: int
    ck_source_hash: CData
    ck_poll: CData
    def ck_python_bind(self) -> int: ...
    def ck_conv_plan(self, conv: CData, kernel: CData) -> int: ...
    def ck_conv_pack(self, conv: CData, kernel: CData, w: CData, packed: CData) -> None: ...
    def ck_conv_workspace(self, conv: CData) -> int: ...
    def ck_conv_run(
        self,
        conv: CData,
        kernel: CData,
        x: CData,
        weights: CData,
        bias: CData,
        residual: CData,
        y: CData,
    ) -> int: ...
    def ck_conv_call(
        self,
        conv: CData,
        kernel: CData,
        x: CData,
        w: CData,
        bias: CData,
        residual: CData,
        y: CData,
    ) -> int: ...
    def ck_quick_run(self, quick: CData, x: CData, y: CData) -> int: ...
    def ck_quick_call(self, quick: CData, x: CData, w: CData, bias: CData, y: CData) -> int: ...
    def ck_stream_plan(self, stream: CData) -> int: ...
    def ck_stream_pack(self, stream: CData, taps: CData) -> int: ...
    def ck_stream_push(self, stream: CData, x: CData, y: CData, count: int) -> int: ...
    def ck_structure_of(self, w: CData, kind: int, depth: int, height: int, width: int) -> int: ...
    def ck_cpu_has(self, isa: bytes) -> int: ...
    def ck_cache_bytes(self, level: int) -> int: ...
    def convkit_get_num_threads(self) -> int: ...
    def convkit_set_num_threads(self, threads: int) -> int: ...
    def ck_set_poll(self, poll: CData) -> None: ...
    def ck_live_bytes(self) -> int: ...
    def ck_peak_bytes(self) -> int: ...
    def ck_reset_peak(self) -> None: ...
    def ck_release_caches(self) -> None: ...
    def ck_fail_alloc(self, after: int) -> None: ...

lib: _Lib
ffi: Any  # a cffi.FFI
