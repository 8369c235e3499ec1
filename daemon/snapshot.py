"""A tree of JSON's values and numpy arrays as bytes, and back: JSON first, the arrays raw behind it.

A line with its own length and the digest of the rest stands at the front: half a file is told from a whole one.
"""

import hashlib
import json
from typing import Any

import numpy as np

from broker.errors import BadInput

MAGIC = b"micro-trader snapshot 1 "
MARK = "\0array"


def pack(tree: Any) -> bytes:
    """The tree as bytes.

    >>> unpack(pack({"a": [1, float("inf")], "b": np.arange(2)}))
    {'a': [1, inf], 'b': array([0, 1])}
    """
    arrays: list[bytes] = []
    text = json.dumps(_without_arrays(tree, arrays)).encode()
    body = len(text).to_bytes(8, "little") + text + b"".join(arrays)
    return MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def unpack(data: bytes) -> Any:
    """The tree that was packed.

    Raises:
        BadInput: the bytes are not whole, or of another version.
    """
    head, _, body = data.partition(b"\n")
    if head != MAGIC + hashlib.sha256(body).hexdigest().encode():
        raise BadInput("is no whole snapshot of this version")
    length = int.from_bytes(body[:8], "little")
    return _with_arrays(json.loads(body[8 : 8 + length]), memoryview(body)[8 + length :])


def _without_arrays(tree: Any, arrays: list[bytes]) -> Any:
    match tree:
        case np.ndarray():
            start = sum(map(len, arrays))
            arrays.append(tree.tobytes())
            fields = tree.dtype.names
            kind: Any = [[name, tree.dtype[name].str] for name in fields] if fields else tree.dtype.str
            return {MARK: [start, kind, list(tree.shape)]}
        case dict():
            return {key: _without_arrays(value, arrays) for key, value in tree.items()}
        case list() | tuple():
            return [_without_arrays(value, arrays) for value in tree]
    return tree


def _with_arrays(tree: Any, raw: memoryview) -> Any:
    match tree:
        case {"\0array": [start, kind, shape]}:
            dtype = np.dtype([(name, code) for name, code in kind] if isinstance(kind, list) else kind, align=True)
            count = int(np.prod(shape, dtype=np.int64))
            return np.frombuffer(raw, dtype, count, start).reshape(shape).copy()
        case dict():
            return {key: _with_arrays(value, raw) for key, value in tree.items()}
        case list():
            return [_with_arrays(value, raw) for value in tree]
    return tree
