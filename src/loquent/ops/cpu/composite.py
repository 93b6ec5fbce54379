"""Compositing for the CPU: one pass over each ray forward, one backward, rays in parallel (SPEC 2.7)."""

import math

import torch
from numba import prange
from torch.autograd.function import once_differentiable

from loquent.compilation import kernel
from loquent.ops.cpu.arrays import array


def composite(density, values, steps, ray_starts, transmittance, stop_transmittance):
    """See :func:`loquent.ops.composite.composite`; returns pixels, opacity, weights, n_used."""
    return _Composite.apply(density, values, steps, ray_starts, transmittance, stop_transmittance)


def sum_along_rays(values, ray_starts, counts):
    """See :func:`loquent.ops.composite.sum_along_rays`."""
    return _SumAlongRays.apply(values, ray_starts, counts)


def distortion(weights, t, steps, ray_starts):
    """See :func:`loquent.ops.composite.distortion`."""
    return _Distortion.apply(weights, t, steps, ray_starts)


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(ctx, density, values, steps, ray_starts, transmittance, stop_transmittance):
        n_rays = len(ray_starts) - 1
        pixels, opacity = values.new_empty(n_rays, values.shape[1]), values.new_empty(n_rays)
        weights, left = torch.zeros_like(density), torch.empty_like(density)
        n_used = torch.empty_like(ray_starts[1:])
        _composite_forward(
            *_arrays(density, values, steps, ray_starts, transmittance),
            stop_transmittance,
            *_arrays(pixels, opacity, weights, left, n_used),
        )
        ctx.save_for_backward(values, steps, ray_starts, weights, left, n_used)
        ctx.mark_non_differentiable(n_used)
        ctx.set_materialize_grads(False)
        return pixels, opacity, weights, n_used

    @staticmethod
    @once_differentiable
    def backward(ctx, to_pixels, to_opacity, to_weights, _):
        values, steps, ray_starts, weights, left, n_used = ctx.saved_tensors
        n_rays = len(n_used)
        to_pixels = values.new_zeros(n_rays, values.shape[1]) if to_pixels is None else to_pixels
        to_opacity = values.new_zeros(n_rays) if to_opacity is None else to_opacity
        to_weights = torch.zeros_like(weights) if to_weights is None else to_weights
        to_density, to_values = torch.zeros_like(weights), torch.zeros_like(values)
        _composite_backward(
            *_arrays(values, steps, ray_starts, weights, left, n_used, to_pixels, to_opacity, to_weights),
            *_arrays(to_density, to_values),
        )
        return to_density, to_values, None, None, None, None


class _SumAlongRays(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, ray_starts, counts):
        sums = values.new_zeros(len(counts), values.shape[1])
        _sum_forward(*_arrays(values, ray_starts, counts, sums))
        ctx.save_for_backward(ray_starts, counts)
        ctx.n_samples = len(values)
        return sums

    @staticmethod
    @once_differentiable
    def backward(ctx, to_sums):
        ray_starts, counts = ctx.saved_tensors
        to_values = to_sums.new_zeros(ctx.n_samples, to_sums.shape[1])
        _sum_backward(*_arrays(to_sums, ray_starts, counts, to_values))
        return to_values, None, None


class _Distortion(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weights, t, steps, ray_starts):
        spread = weights.new_empty(len(ray_starts) - 1)
        slope = torch.zeros_like(weights)
        _distortion_forward(*_arrays(weights, t, steps, ray_starts, spread, slope))
        ctx.save_for_backward(slope, ray_starts)
        return spread

    @staticmethod
    @once_differentiable
    def backward(ctx, to_spread):
        slope, ray_starts = ctx.saved_tensors
        to_weights = slope.clone()
        _scale_rays(*_arrays(to_spread, ray_starts, to_weights))
        return to_weights, None, None, None


def _arrays(*tensors):
    return [array(tensor) for tensor in tensors]


@kernel(parallel=True)
def _composite_forward(density, values, steps, ray_starts, transmittance, stop, pixels, opacity, weights, left, n_used):
    channels = values.shape[1]
    one = density.dtype.type(1)
    for ray in prange(len(n_used)):
        light = transmittance[ray]
        covered = density.dtype.type(0)
        pixels[ray] = 0
        first, end = ray_starts[ray], ray_starts[ray + 1]
        used = 0
        for sample in range(first, end):
            passing = math.exp(-density[sample] * steps[sample])
            weight = light * (one - passing)
            weights[sample] = weight
            covered += weight
            for channel in range(channels):
                pixels[ray, channel] += weight * values[sample, channel]
            used += 1
            before = light
            light *= passing
            left[sample] = light
            if before < stop:
                break
        opacity[ray] = covered
        n_used[ray] = used


@kernel(parallel=True)
def _composite_backward(
    values, steps, ray_starts, weights, left, n_used, to_pixels, to_opacity, to_weights, to_density, to_values
):
    # With G the gradient to a sample's weight:
    # d / d density_i = step_i (light left after i * G_i - sum over j > i of w_j G_j).
    channels = values.shape[1]
    for ray in prange(len(n_used)):
        behind = values.dtype.type(0)
        first = ray_starts[ray]
        for sample in range(first + n_used[ray] - 1, first - 1, -1):
            to_weight = to_opacity[ray] + to_weights[sample]
            for channel in range(channels):
                to_weight += to_pixels[ray, channel] * values[sample, channel]
                to_values[sample, channel] = weights[sample] * to_pixels[ray, channel]
            to_density[sample] = steps[sample] * (left[sample] * to_weight - behind)
            behind += weights[sample] * to_weight


@kernel(parallel=True)
def _sum_forward(values, ray_starts, counts, sums):
    for ray in prange(len(counts)):
        for sample in range(ray_starts[ray], ray_starts[ray] + counts[ray]):
            for channel in range(values.shape[1]):
                sums[ray, channel] += values[sample, channel]


@kernel(parallel=True)
def _sum_backward(to_sums, ray_starts, counts, to_values):
    for ray in prange(len(counts)):
        for sample in range(ray_starts[ray], ray_starts[ray] + counts[ray]):
            for channel in range(to_values.shape[1]):
                to_values[sample, channel] = to_sums[ray, channel]


@kernel(parallel=True)
def _distortion_forward(weights, t, steps, ray_starts, spread, slope):
    # Middles are sorted, so sum_j w_j |m_i - m_j| splits into samples before and behind i, which running sums give.
    for ray in prange(len(spread)):
        first, end = ray_starts[ray], ray_starts[ray + 1]
        total, total_moment, loss = 0.0, 0.0, 0.0
        for sample in range(first, end):
            middle = (t[sample] - t[first]) - 0.5 * steps[sample]
            total += weights[sample]
            total_moment += weights[sample] * middle
        mass, moment = 0.0, 0.0
        for sample in range(first, end):
            middle = (t[sample] - t[first]) - 0.5 * steps[sample]
            weight = weights[sample]
            mass += weight
            moment += weight * middle
            pull = middle * (2 * mass - total) + total_moment - 2 * moment
            loss += weight * pull + weight * weight * steps[sample] / 3
            slope[sample] = 2 * pull + 2 * weight * steps[sample] / 3
        spread[ray] = loss


@kernel(parallel=True)
def _scale_rays(factors, ray_starts, values):
    for ray in prange(len(factors)):
        for sample in range(ray_starts[ray], ray_starts[ray + 1]):
            values[sample] *= factors[ray]
