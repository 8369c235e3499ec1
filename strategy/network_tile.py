"""The multiply-accumulate under every network layer: a tile of outputs held in registers.

`accumulate` adds `x W` to `y`. Each output is one chain of fused multiply-adds over the inputs in their order,
whatever the tile it falls in: so a row's result has the same bits alone and in a batch.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

Float32s = npt.NDArray[np.float32]

LANES = 8
COLUMNS = 16
"""Outputs of a layer are padded to a multiple of this."""

FLOAT, INT = ir.FloatType(), ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)


def _broadcast(builder: Any, scalar: Any) -> Any:
    """All lanes of a vector set to one float."""
    none = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(none, scalar, ir.Constant(ir.IntType(32), 0))
    return builder.shuffle_vector(first, none, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))


def _vector_at(builder: Any, data: Any, index: Any) -> Any:
    """Pointer to the `LANES` floats from `data[index]` on."""
    return builder.bitcast(builder.gep(data, [index]), VECTOR.as_pointer())


def _load(builder: Any, data: Any, index: Any) -> Any:
    value = builder.load(_vector_at(builder, data, index))
    value.align = 4
    return value


def _multiply_add(module: Any) -> Any:
    """The fused multiply-add of a vector: one rounding, on every machine."""
    name, kind = f"llvm.fma.v{LANES}f32", ir.FunctionType(VECTOR, [VECTOR] * 3)
    return cgutils.get_or_insert_function(module, kind, name)  # type: ignore[no-untyped-call]


def _emit(builder: Any, w: Any, x: Any, y: Any, bounds: tuple[Any, ...], rows: int, vectors: int) -> None:
    """Write the tile's loop: `y[r, v] = fma(x[r, i], w[i, v], y[r, v])` for i in order, `y` in registers."""
    w_at, w_stride, x_at, x_stride, inputs, y_at, y_stride = bounds
    multiply_add = _multiply_add(builder.module)

    def offset(start: Any, stride: Any, row: int, column: int) -> Any:
        line = builder.add(start, builder.mul(stride, INT(row)))
        return builder.add(line, INT(column))

    spots = [offset(y_at, y_stride, r, v * LANES) for r in range(rows) for v in range(vectors)]
    starts = [_load(builder, y, spot) for spot in spots]
    before = builder.basic_block
    loop, done = builder.append_basic_block("tile"), builder.append_basic_block("tiled")
    builder.branch(loop)

    builder.position_at_end(loop)
    i = builder.phi(INT)
    i.add_incoming(INT(0), before)
    sums = [builder.phi(VECTOR) for _ in spots]
    for total, start in zip(sums, starts, strict=True):
        total.add_incoming(start, before)
    line = builder.add(w_at, builder.mul(i, w_stride))
    weights = [_load(builder, w, builder.add(line, INT(v * LANES))) for v in range(vectors)]
    results = []
    for r in range(rows):
        cell = builder.gep(x, [builder.add(offset(x_at, x_stride, r, 0), i)])
        factor = _broadcast(builder, builder.load(cell))
        results += [builder.call(multiply_add, [factor, weights[v], sums[r * vectors + v]]) for v in range(vectors)]
    following = builder.add(i, INT(1))
    i.add_incoming(following, loop)
    for total, result in zip(sums, results, strict=True):
        total.add_incoming(result, loop)
    builder.cbranch(builder.icmp_signed("<", following, inputs), loop, done)

    builder.position_at_end(done)
    for spot, result in zip(spots, results, strict=True):
        builder.store(result, _vector_at(builder, y, spot)).align = 4


def _tile(rows: int, vectors: int) -> Any:
    """A compiled tile of `rows` x `vectors * LANES` outputs; it checks nothing: the caller keeps it in bounds."""

    def tile(_typing: Any, w: Any, w_at: Any, w_stride: Any, x: Any, x_at: Any, x_stride: Any, inputs: Any,
             y: Any, y_at: Any, y_stride: Any) -> Any:  # fmt: skip
        signature = types.void(w, w_at, w_stride, x, x_at, x_stride, inputs, y, y_at, y_stride)

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            w, x, y = (context.make_array(signature.args[k])(context, builder, args[k]).data for k in (0, 3, 7))
            _emit(builder, w, x, y, (*args[1:3], *args[4:7], *args[8:10]), rows, vectors)
            return context.get_dummy_value()

        return signature, generate

    return intrinsic(tile)


_four_rows = _tile(4, 2)
_one_row_wide = _tile(1, 8)
_one_row = _tile(1, 2)


@njit(cache=True, nogil=True, error_model="numpy")
def accumulate(
    w: Float32s, at: int, inputs: int, outputs: int,
    x: Float32s, x_at: int, x_stride: int, y: Float32s, y_at: int, y_stride: int, rows: int,
) -> None:  # fmt: skip
    """Add `x W` to `y` in place.

    Args:
        w: `[n] float32` buffer; the weights `[inputs, outputs]` lie row by row from `at` on.
        inputs, outputs: at least 1 input; outputs a multiple of `COLUMNS`.
        x, y: float32 arrays; row r starts at flat index `x_at + r * x_stride`, `y_at + r * y_stride`.
        rows: rows of x and y.
    """
    wide = 8 * LANES
    r = 0
    while r + 4 <= rows:
        for o in range(0, outputs, COLUMNS):
            _four_rows(
                w, at + o, outputs, x, x_at + r * x_stride, x_stride, inputs, y, y_at + r * y_stride + o, y_stride
            )
        r += 4
    while r < rows:
        o = 0
        while o + wide <= outputs:
            _one_row_wide(
                w, at + o, outputs, x, x_at + r * x_stride, x_stride, inputs, y, y_at + r * y_stride + o, y_stride
            )
            o += wide
        while o < outputs:
            _one_row(w, at + o, outputs, x, x_at + r * x_stride, x_stride, inputs, y, y_at + r * y_stride + o, y_stride)
            o += COLUMNS
        r += 1


def padded(outputs: int) -> int:
    """Outputs rounded up to whole tiles.

    >>> padded(3), padded(64)
    (16, 64)
    """
    return -(-outputs // COLUMNS) * COLUMNS


def aligned(size: int) -> Float32s:
    """Zeros `[size] float32` that begin on a cache line (64 bytes)."""
    line = 64
    raw = np.zeros(size * 4 + line, np.uint8)
    skip = -raw.ctypes.data % line
    return raw[skip : skip + size * 4].view(np.float32)
