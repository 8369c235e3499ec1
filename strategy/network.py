"""The networks of Stochastic MuZero as float32 kernels over one packed buffer of weights.

    representation   observation -> state          (residual MLP; a causal TCN first where there is a window)
    afterstate       state, action -> afterstate
    outcome          afterstate -> logits of the market outcomes
    dynamics         afterstate, outcome -> state, and the reward of that step
    policy, value    state -> action logits; state or afterstate -> value

Hidden rows are layer-normalised without gain; a block is `x + W2 relu(W1 LN(x))`; the value is a categorical
distribution over a support of transformed values. `training.networks` is the torch twin, held to 1e-5.
"""

import numpy as np
from numba import njit

from strategy.network_layout import Ints, Network, Work
from strategy.network_tile import COLUMNS, Float32s, accumulate

FIRST: int = np.int64(0)  # type: ignore[assignment]
ONE: int = np.int64(1)  # type: ignore[assignment]
"""Numpy integers: a literal would compile every kernel once more."""
LN_EPSILON = 1e-5
TRANSFORM_EPSILON = 1e-3
"""Of the invertible value transform (Pohlen et al. 2018, "Observe and look further")."""


@njit(cache=True, nogil=True, error_model="numpy")
def _linear(weights: Float32s, at: int, inputs: int, outputs: int, x: Float32s, y: Float32s, a: int, b: int) -> int:
    """`y = x W + bias` for rows a..b; `outputs` is padded; the index after the layer."""
    bias = at + inputs * outputs
    for r in range(a, b):
        copy_row(weights[bias : bias + outputs], y[r])
    wx, wy = x.shape[1], y.shape[1]
    accumulate(weights, at, inputs, outputs, x, a * wx, wx, y, a * wy, wy, b - a)
    return bias + outputs


@njit(cache=True, nogil=True, error_model="numpy")
def _coded(weights: Float32s, at: int, codes: int, x: Float32s, code: Ints, y: Float32s, a: int, b: int) -> int:
    """`y = [x, one-hot code] W + bias` for rows a..b; the index after the layer."""
    width: int = x.shape[1]
    bias = at + (width + codes) * width
    for r in range(a, b):
        row = at + (width + code[r]) * width
        copy_row(weights[bias : bias + width], y[r])
        _add(y[r], weights[row : row + width])
    accumulate(weights, at, width, width, x, a * width, width, y, a * width, width, b - a)
    return bias + width


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _normalise(x: Float32s, y: Float32s) -> None:
    """`y = (x - mean) / sqrt(variance + eps)` of a row; four fixed partial sums, so the order never changes."""
    zero, width = np.float32(0.0), len(x)
    s0, s1, s2, s3 = zero, zero, zero, zero
    for i in range(0, width, 4):
        s0 += x[i]
        s1 += x[i + 1]
        s2 += x[i + 2]
        s3 += x[i + 3]
    mean = ((s0 + s1) + (s2 + s3)) / np.float32(width)
    s0, s1, s2, s3 = zero, zero, zero, zero
    for i in range(0, width, 4):
        d0, d1, d2, d3 = x[i] - mean, x[i + 1] - mean, x[i + 2] - mean, x[i + 3] - mean
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    variance = ((s0 + s1) + (s2 + s3)) / np.float32(width)
    factor = np.float32(1.0) / np.sqrt(variance + np.float32(LN_EPSILON))
    for i in range(width):
        y[i] = (x[i] - mean) * factor


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _scale(x: Float32s, gain: Float32s, shift: Float32s) -> None:
    """`x = x * gain + shift` of a row."""
    for i in range(len(x)):
        x[i] = x[i] * gain[i] + shift[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _add(x: Float32s, y: Float32s) -> None:
    """`x = x + y` of a row."""
    for i in range(len(x)):
        x[i] += y[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _relu(x: Float32s) -> None:
    """`x = max(x, 0)` of a row."""
    zero = np.float32(0.0)
    for i in range(len(x)):
        x[i] = zero if x[i] < zero else x[i]


@njit(cache=True, nogil=True, error_model="numpy")
def copy_row(x: Float32s, y: Float32s) -> None:
    """`y = x` of a row."""
    for i in range(len(x)):
        y[i] = x[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _blocks(
    weights: Float32s, at: int, count: int, x: Float32s, inner: Float32s, outer: Float32s, a: int, b: int
) -> int:
    """Residual blocks in place on rows a..b of x; the index after them."""
    width = x.shape[1]
    for _ in range(count):
        gain, shift = weights[at : at + width], weights[at + width : at + 2 * width]
        for r in range(a, b):
            _normalise(x[r], inner[r])
            _scale(inner[r], gain, shift)
        at = _linear(weights, at + 2 * width, width, width, inner, outer, a, b)
        bias = at + width * width
        for r in range(a, b):
            _relu(outer[r])
            _add(x[r], weights[bias : bias + width])
        accumulate(weights, at, width, width, outer, a * width, width, x, a * width, width, b - a)
        at = bias + width
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def _tcn(network: Network, work: Work, r: int) -> int:
    """The causal TCN of row r at its last step, into `steps[., 0]`; the index after it.

    With kernel 2 and dilations 1, 2, 4, ... the last step depends on a tree of neighbouring pairs: level by level
    `newer + relu(W [older, newer])` halves the window.
    """
    weights, channels = network.weights, network.channels
    now, later = work.steps[0], work.steps[1]
    at = network.representation_at
    bias = at + network.columns * channels
    for step in range(network.window):
        copy_row(weights[bias : bias + channels], now[step])
    accumulate(
        weights, at, network.columns, channels, work.features, r * network.inputs, network.columns,
        now, FIRST, channels, network.window,
    )  # fmt: skip
    at = bias + channels
    length = network.window
    for _ in range(network.levels):
        length //= 2
        bias = at + 2 * channels * channels
        for step in range(length):
            copy_row(weights[bias : bias + channels], later[step])
        accumulate(weights, at, 2 * channels, channels, now, FIRST, 2 * channels, later, FIRST, channels, length)
        for step in range(length):
            _relu(later[step])
            _add(later[step], now[2 * step + 1])
        for step in range(length):
            copy_row(later[step], now[step])
        at = bias + channels
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def represent(network: Network, work: Work, rows: int) -> None:
    """Observations in `features` to states in `hidden`."""
    weights, width = network.weights, network.hidden
    at = network.representation_at
    if network.window == 0:
        at = _linear(weights, at, network.inputs, width, work.features, work.hidden, FIRST, rows)
    else:
        channels, first = network.channels, network.window * network.columns
        static = network.inputs - first
        for r in range(rows):
            at = _tcn(network, work, r)
            bias = at + (channels + static) * width
            copy_row(weights[bias : bias + width], work.hidden[r])
            accumulate(weights, at, channels, width, work.steps[0], FIRST, channels, work.hidden, r * width, width, ONE)
            accumulate(
                weights, at + channels * width, static, width, work.features, r * network.inputs + first,
                static, work.hidden, r * width, width, ONE,
            )  # fmt: skip
            at = bias + width
    _blocks(weights, at, network.representation_blocks, work.hidden, work.inner, work.outer, FIRST, rows)
    for r in range(rows):
        _normalise(work.hidden[r], work.hidden[r])


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def _head(weights: Float32s, at: int, blocks: int, outputs: int, work: Work, y: Float32s, a: int, b: int) -> None:
    """A net's blocks and output layer on the rows a..b of `hidden` into y; `given` is overwritten."""
    for r in range(a, b):
        copy_row(work.hidden[r], work.given[r])
    at = _blocks(weights, at, blocks, work.given, work.inner, work.outer, a, b)
    wide = (outputs + COLUMNS - 1) // COLUMNS * COLUMNS
    _linear(weights, at, work.hidden.shape[1], wide, work.given, y, a, b)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def after(network: Network, work: Work, a: int, b: int) -> None:
    """Afterstates of `given` and the action `code` into `hidden`, their outcome logits into `logits`, rows a..b."""
    weights = network.weights
    at = _coded(weights, network.afterstate_at, network.actions, work.given, work.code, work.hidden, a, b)
    _blocks(weights, at, network.afterstate_blocks, work.hidden, work.inner, work.outer, a, b)
    for r in range(a, b):
        _normalise(work.hidden[r], work.hidden[r])
    _head(weights, network.outcome_at, network.outcome_blocks, network.outcomes, work, work.logits, a, b)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def advance(network: Network, work: Work, a: int, b: int) -> None:
    """States after the afterstates `given` and the outcome `code` into `hidden`, with `reward`, rows a..b."""
    weights = network.weights
    at = _coded(weights, network.dynamics_at, network.outcomes, work.given, work.code, work.hidden, a, b)
    at = _blocks(weights, at, network.dynamics_blocks, work.hidden, work.inner, work.outer, a, b)
    for r in range(a, b):
        _normalise(work.hidden[r], work.hidden[r])
    _linear(weights, at, network.hidden, work.reward.shape[1], work.hidden, work.reward, a, b)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def policy(network: Network, work: Work, a: int, b: int) -> None:
    """Action logits of the states in `hidden`, rows a..b; `given` is overwritten."""
    _head(network.weights, network.policy_at, network.policy_blocks, network.actions, work, work.logits, a, b)


@njit(cache=True, nogil=True, error_model="numpy", forceinline=True)
def value(network: Network, work: Work, a: int, b: int) -> None:
    """Values of the states or afterstates in `hidden`, rows a..b; `given` is overwritten."""
    _head(network.weights, network.value_at, network.value_blocks, network.bins, work, work.wide, a, b)
    for r in range(a, b):
        work.value[r] = untransform(_expectation(work.wide[r], network.bins) * network.value_scale)


@njit(cache=True, nogil=True, error_model="numpy")
def _expectation(logits: Float32s, bins: int) -> float:
    """Mean bin, from the middle one, under softmax(logits), which are overwritten; NaN if any is not finite."""
    top, total = logits[0], 0.0
    for i in range(bins):
        top = max(top, logits[i])
        total += logits[i]
    if not np.isfinite(total):
        return np.nan
    for i in range(bins):
        logits[i] = _exponential(logits[i] - top)
    total, weighted = 0.0, 0.0
    for i in range(bins):
        total += logits[i]
        weighted += logits[i] * (i - bins // 2)
    return weighted / total


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"}, inline="always")
def _exponential(x: np.float32) -> np.float32:
    """e ** x for finite x <= 0 to one part in 1e7, in a form that vectorises (Cephes: ln 2 in two parts, degree 5)."""
    x = max(x, np.float32(-87.0))
    whole = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    rest = x - whole * np.float32(0.693359375) + whole * np.float32(2.12194440e-4)
    power = np.float32(1.9875691500e-4)
    power = power * rest + np.float32(1.3981999507e-3)
    power = power * rest + np.float32(8.3334519073e-3)
    power = power * rest + np.float32(4.1665795894e-2)
    power = power * rest + np.float32(1.6666665459e-1)
    power = power * rest + np.float32(5.0000001201e-1)
    power = power * rest * rest + rest + np.float32(1.0)
    result: np.float32 = power * np.int32((np.int32(whole) + 127) << 23).view(np.float32)
    return result


@njit(cache=True, nogil=True, error_model="numpy")
def untransform(x: float) -> float:
    """Inverse of `sign(v) (sqrt(|v| + 1) - 1) + 0.001 v`, float64.

    >>> round(untransform(2 ** 0.5 - 1 + 0.001), 12)
    1.0
    """
    root = np.sqrt(1.0 + 4.0 * TRANSFORM_EPSILON * (abs(x) + 1.0 + TRANSFORM_EPSILON))
    size = ((root - 1.0) / (2.0 * TRANSFORM_EPSILON)) ** 2 - 1.0
    return float(np.copysign(size, x))
