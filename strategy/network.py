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

from strategy.network_layout import Float32s, Network, Work
from strategy.network_tile import COLUMNS, accumulate

LN_EPSILON = 1e-5
TRANSFORM_EPSILON = 1e-3
"""Of the invertible value transform (Pohlen et al. 2018, "Observe and look further")."""


@njit(cache=True, nogil=True, error_model="numpy")
def _linear(weights: Float32s, at: int, inputs: int, outputs: int, x: Float32s, y: Float32s, a: int, b: int) -> int:
    """`y = x W + bias` for rows a..b; `outputs` is padded; the index after the layer."""
    bias = at + inputs * outputs
    for r in range(a, b):
        y[r, :outputs] = weights[bias : bias + outputs]
    wx, wy = x.shape[1], y.shape[1]
    accumulate(weights, at, inputs, outputs, x, a * wx, wx, y, a * wy, wy, b - a)
    return bias + outputs


@njit(cache=True, nogil=True, error_model="numpy")
def _coded(network: Network, at: int, codes: int, work: Work, a: int, b: int) -> int:
    """`hidden = [given, one-hot code] W + bias` for rows a..b; the index after the layer."""
    weights, width = network.weights, network.hidden
    bias = at + (width + codes) * width
    for r in range(a, b):
        row = at + (width + work.code[r]) * width
        for o in range(width):
            work.hidden[r, o] = weights[bias + o] + weights[row + o]
    accumulate(weights, at, width, width, work.given, a * width, width, work.hidden, a * width, width, b - a)
    return bias + width


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def _normalise(x: Float32s, y: Float32s, r: int, width: int) -> None:
    """`y[r] = (x[r] - mean) / sqrt(variance + eps)`; four fixed partial sums, so the order never changes."""
    zero = np.float32(0.0)
    s0, s1, s2, s3 = zero, zero, zero, zero
    for i in range(0, width, 4):
        s0 += x[r, i]
        s1 += x[r, i + 1]
        s2 += x[r, i + 2]
        s3 += x[r, i + 3]
    mean = ((s0 + s1) + (s2 + s3)) / np.float32(width)
    s0, s1, s2, s3 = zero, zero, zero, zero
    for i in range(0, width, 4):
        d0, d1, d2, d3 = x[r, i] - mean, x[r, i + 1] - mean, x[r, i + 2] - mean, x[r, i + 3] - mean
        s0 += d0 * d0
        s1 += d1 * d1
        s2 += d2 * d2
        s3 += d3 * d3
    variance = ((s0 + s1) + (s2 + s3)) / np.float32(width)
    factor = np.float32(1.0) / np.sqrt(variance + np.float32(LN_EPSILON))
    for i in range(width):
        y[r, i] = (x[r, i] - mean) * factor


@njit(cache=True, nogil=True, error_model="numpy")
def _blocks(network: Network, at: int, count: int, x: Float32s, work: Work, a: int, b: int) -> int:
    """Residual blocks in place on rows a..b of x; the index after them."""
    weights, width = network.weights, network.hidden
    inner, outer = work.inner, work.outer
    for _ in range(count):
        for r in range(a, b):
            _normalise(x, inner, r, width)
            for i in range(width):
                inner[r, i] = inner[r, i] * weights[at + i] + weights[at + width + i]
        at = _linear(weights, at + 2 * width, width, width, inner, outer, a, b)
        for r in range(a, b):
            for i in range(width):
                outer[r, i] = max(outer[r, i], np.float32(0.0))
        bias = at + width * width
        for r in range(a, b):
            for i in range(width):
                x[r, i] += weights[bias + i]
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
        now[step] = weights[bias : bias + channels]
    accumulate(
        weights, at, network.columns, channels, work.features, r * network.inputs, network.columns,
        now, 0, channels, network.window,
    )  # fmt: skip
    at = bias + channels
    length = network.window
    for _ in range(network.levels):
        length //= 2
        bias = at + 2 * channels * channels
        for step in range(length):
            later[step] = weights[bias : bias + channels]
        accumulate(weights, at, 2 * channels, channels, now, 0, 2 * channels, later, 0, channels, length)
        for step in range(length):
            for i in range(channels):
                later[step, i] = now[2 * step + 1, i] + max(later[step, i], np.float32(0.0))
        now[:length] = later[:length]
        at = bias + channels
    return at


@njit(cache=True, nogil=True, error_model="numpy")
def represent(network: Network, work: Work, rows: int) -> None:
    """Observations in `features` to states in `hidden`."""
    weights, width = network.weights, network.hidden
    at = network.representation_at
    if network.window == 0:
        at = _linear(weights, at, network.inputs, width, work.features, work.hidden, 0, rows)
    else:
        channels, first = network.channels, network.window * network.columns
        static = network.inputs - first
        for r in range(rows):
            at = _tcn(network, work, r)
            bias = at + (channels + static) * width
            work.hidden[r] = weights[bias : bias + width]
            accumulate(weights, at, channels, width, work.steps, 0, channels, work.hidden, r * width, width, 1)
            accumulate(
                weights, at + channels * width, static, width, work.features, r * network.inputs + first,
                static, work.hidden, r * width, width, 1,
            )  # fmt: skip
            at = bias + width
    _blocks(network, at, network.representation_blocks, work.hidden, work, 0, rows)
    for r in range(rows):
        _normalise(work.hidden, work.hidden, r, width)


@njit(cache=True, nogil=True, error_model="numpy")
def after(network: Network, work: Work, a: int, b: int) -> None:
    """Afterstates of `given` and the action `code` into `hidden`, their outcome logits into `logits`, rows a..b."""
    at = _coded(network, network.afterstate_at, network.actions, work, a, b)
    _blocks(network, at, network.afterstate_blocks, work.hidden, work, a, b)
    for r in range(a, b):
        _normalise(work.hidden, work.hidden, r, network.hidden)
        work.given[r] = work.hidden[r]
    at = _blocks(network, network.outcome_at, network.outcome_blocks, work.given, work, a, b)
    _linear(network.weights, at, network.hidden, padded_width(network.outcomes), work.given, work.logits, a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def advance(network: Network, work: Work, a: int, b: int) -> None:
    """States after the afterstates `given` and the outcome `code` into `hidden`, with `reward`, rows a..b."""
    at = _coded(network, network.dynamics_at, network.outcomes, work, a, b)
    at = _blocks(network, at, network.dynamics_blocks, work.hidden, work, a, b)
    for r in range(a, b):
        _normalise(work.hidden, work.hidden, r, network.hidden)
    _linear(network.weights, at, network.hidden, padded_width(1), work.hidden, work.reward, a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def policy(network: Network, work: Work, a: int, b: int) -> None:
    """Action logits of the states in `hidden`, rows a..b; `given` is overwritten."""
    for r in range(a, b):
        work.given[r] = work.hidden[r]
    at = _blocks(network, network.policy_at, network.policy_blocks, work.given, work, a, b)
    _linear(network.weights, at, network.hidden, padded_width(network.actions), work.given, work.logits, a, b)


@njit(cache=True, nogil=True, error_model="numpy")
def value(network: Network, work: Work, a: int, b: int) -> None:
    """Values of the states or afterstates in `hidden`, rows a..b; `given` is overwritten."""
    for r in range(a, b):
        work.given[r] = work.hidden[r]
    at = _blocks(network, network.value_at, network.value_blocks, work.given, work, a, b)
    _linear(network.weights, at, network.hidden, padded_width(network.bins), work.given, work.wide, a, b)
    for r in range(a, b):
        work.value[r] = untransform(_expectation(work.wide[r], network.bins) * network.value_scale)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def padded_width(outputs: int) -> int:
    """`padded` for kernels."""
    return (outputs + COLUMNS - 1) // COLUMNS * COLUMNS


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
