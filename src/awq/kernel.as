// SIMD kernels of the quantizer, in AssemblyScript. Compile with `npx tsx test/awq/compile-kernel.ts`, which writes
// kernel-binary.ts; a test checks that the two agree.
//
// Every matrix is stored transposed, [in, lanes]: one input channel is one contiguous run of `lanes` f32 values, one per
// output row of the Linear. `lanes` is a multiple of 4 and output rows never meet, so all arithmetic is lane by lane.
// Pointers are byte offsets into the imported memory. Codes are kept as f32 until they leave.

const LANE_BYTES: usize = 4;

@inline
function round16(x: v128, half: i32): v128 {
  return half == 0 ? roundBf16(x) : roundF16(x);
}

/** Nearest bfloat16, ties to even, as f32. */
@inline
function roundBf16(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  return v128.and(i32x4.add(i32x4.add(x, odd), i32x4.splat(0x7fff)), i32x4.splat(0xffff0000));
}

/** Nearest IEEE half, ties to even, saturated at ±65504, as f32. Below 2⁻¹⁴ the spacing is fixed at 2⁻²⁴. */
@inline
function roundF16(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 13), i32x4.splat(1));
  const normal = v128.and(i32x4.add(i32x4.add(x, odd), i32x4.splat(0xfff)), i32x4.splat(0xffffe000));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  const magnitude = f32x4.abs(x);
  const shifted = f32x4.sub(f32x4.add(magnitude, f32x4.splat(0.5)), f32x4.splat(0.5));
  const subnormal = v128.or(shifted, sign);
  const rounded = v128.bitselect(subnormal, normal, f32x4.lt(magnitude, f32x4.splat(6.103515625e-5)));
  return f32x4.max(f32x4.splat(-65504), f32x4.min(f32x4.splat(65504), rounded));
}

@inline
function codeOf(x: v128, scale: v128, zero: v128, low: v128, high: v128): v128 {
  return f32x4.max(low, f32x4.min(high, f32x4.nearest(f32x4.add(f32x4.div(x, scale), zero))));
}

/** Smallest and largest value per lane over `rows` channels. */
export function extremes(w: usize, rows: i32, lanes: i32, least: usize, most: usize): void {
  const stride = <usize>lanes * LANE_BYTES;
  for (let at: usize = 0; at < stride; at += 16) {
    let low = v128.load(w + at);
    let high = low;
    for (let row = 1; row < rows; row++) {
      const x = v128.load(w + <usize>row * stride + at);
      low = f32x4.min(low, x);
      high = f32x4.max(high, x);
    }
    v128.store(least + at, low);
    v128.store(most + at, high);
  }
}

/**
 * Scale and zero point per lane from the extremes of a group. `ratio` holds two rows: r = ratio[lane] + offset shrinks the
 * lower end, R = ratio[lanes + lane] + offsetHigh the upper one; symmetric modes have r alone.
 * mode 0: symmetric, s = r·max|w| / (levels/2); 1: signed, s = r·(value of largest magnitude) / −half; 2: asymmetric over
 * [min(0, least)·r, max(0, most)·R].
 * `levels` is 2^bits − 1 and `half` 2^(bits−1).
 */
export function parameters(
  least: usize, most: usize, ratio: usize, offset: f32, offsetHigh: f32, lanes: i32, mode: i32, levels: f32, half: f32,
  isF16: i32, epsilon: f32, scale: usize, zero: usize,
): void {
  const end = <usize>lanes * LANE_BYTES;
  const none = f32x4.splat(0);
  for (let at: usize = 0; at < end; at += 16) {
    const r = f32x4.add(v128.load(ratio + at), f32x4.splat(offset));
    const low = v128.load(least + at);
    const high = v128.load(most + at);
    let s: v128;
    if (mode == 2) {
      const upper = f32x4.add(v128.load(ratio + end + at), f32x4.splat(offsetHigh));
      const to = f32x4.mul(f32x4.div(f32x4.max(high, none), f32x4.splat(levels)), upper);
      const from = f32x4.mul(f32x4.div(f32x4.min(low, none), f32x4.splat(levels)), r);
      s = f32x4.sub(to, from);
    } else {
      const negative = f32x4.gt(f32x4.neg(low), high);
      const extreme = v128.bitselect(low, high, negative);
      s = mode == 1
        ? f32x4.mul(f32x4.div(extreme, f32x4.splat(-half)), r)
        : f32x4.mul(f32x4.div(f32x4.abs(extreme), f32x4.splat(levels * 0.5)), r);
    }
    s = round16(s, isF16);
    s = v128.bitselect(f32x4.splat(epsilon), s, f32x4.eq(s, none));
    v128.store(scale + at, s);
    if (mode == 2) {
      const from = f32x4.mul(f32x4.min(low, none), r);
      const z = f32x4.sub(f32x4.splat(-half), f32x4.div(from, s));
      v128.store(zero + at, f32x4.nearest(f32x4.max(f32x4.splat(-half), f32x4.min(f32x4.splat(half - 1), z))));
    } else {
      v128.store(zero + at, none);
    }
  }
}

/** Codes (unless `codes` is 0) and error (code − zero)·scale − w of one group, rounding to nearest. */
export function roundGroup(
  w: usize, rows: i32, lanes: i32, scale: usize, zero: usize, half: f32, codes: usize, error: usize,
): void {
  const stride = <usize>lanes * LANE_BYTES;
  const low = f32x4.splat(-half);
  const high = f32x4.splat(half - 1);
  for (let row = 0; row < rows; row++) {
    const base = <usize>row * stride;
    for (let at: usize = 0; at < stride; at += 16) {
      const x = v128.load(w + base + at);
      const s = v128.load(scale + at);
      const z = v128.load(zero + at);
      const q = codeOf(x, s, z, low, high);
      if (codes != 0) v128.store(codes + base + at, q);
      v128.store(error + base + at, f32x4.sub(f32x4.mul(f32x4.sub(q, z), s), x));
    }
  }
}

/** error = (code − zero)·scale − w for given codes. */
export function errorOfCodes(
  w: usize, rows: i32, lanes: i32, scale: usize, zero: usize, codes: usize, error: usize,
): void {
  const stride = <usize>lanes * LANE_BYTES;
  for (let row = 0; row < rows; row++) {
    const base = <usize>row * stride;
    for (let at: usize = 0; at < stride; at += 16) {
      const value = f32x4.mul(f32x4.sub(v128.load(codes + base + at), v128.load(zero + at)), v128.load(scale + at));
      v128.store(error + base + at, f32x4.sub(value, v128.load(w + base + at)));
    }
  }
}

/**
 * Candidate smoothing of one group of a search: quantizes w·smooth (one factor per channel) by its own min–max
 * parameters and stores the error as seen from the unsmoothed input, Q(w·s)/s − w. `scratch` holds 4·lanes values.
 * Rows of `error` are `errorStride` bytes apart, so that several candidates lie side by side.
 */
export function roundSmoothed(
  w: usize, smooth: usize, rows: i32, lanes: i32, mode: i32, levels: f32, half: f32, isF16: i32, epsilon: f32,
  scratch: usize, ratio: usize, error: usize, errorStride: usize,
): void {
  const stride = <usize>lanes * LANE_BYTES;
  const least = scratch;
  const most = scratch + stride;
  const scale = scratch + 2 * stride;
  const zero = scratch + 3 * stride;
  for (let at: usize = 0; at < stride; at += 16) {
    let minimum = f32x4.mul(v128.load(w + at), v128.load32_splat(smooth));
    let maximum = minimum;
    for (let row = 1; row < rows; row++) {
      const x = f32x4.mul(v128.load(w + <usize>row * stride + at), v128.load32_splat(smooth + (<usize>row << 2)));
      minimum = f32x4.min(minimum, x);
      maximum = f32x4.max(maximum, x);
    }
    v128.store(least + at, minimum);
    v128.store(most + at, maximum);
  }
  parameters(least, most, ratio, 0, 0, lanes, mode, levels, half, isF16, epsilon, scale, zero);
  const low = f32x4.splat(-half);
  const high = f32x4.splat(half - 1);
  for (let row = 0; row < rows; row++) {
    const factor = load<f32>(smooth + (<usize>row << 2));
    const by = f32x4.splat(factor);
    const back = f32x4.splat(1 / factor);
    const base = w + <usize>row * stride;
    const into = error + <usize>row * errorStride;
    for (let at: usize = 0; at < stride; at += 16) {
      const x = v128.load(base + at);
      const s = v128.load(scale + at);
      const z = v128.load(zero + at);
      const q = codeOf(f32x4.mul(x, by), s, z, low, high);
      v128.store(into + at, f32x4.sub(f32x4.mul(f32x4.mul(f32x4.sub(q, z), s), back), x));
    }
  }
}

/** out[lane] += Σ over rows of a·b. */
export function laneDot(a: usize, b: usize, rows: i32, lanes: i32, out: usize): void {
  const stride = <usize>lanes * LANE_BYTES;
  for (let at: usize = 0; at < stride; at += 16) {
    let sum = v128.load(out + at);
    for (let row = 0; row < rows; row++) {
      const i = <usize>row * stride + at;
      sum = f32x4.add(sum, f32x4.mul(v128.load(a + i), v128.load(b + i)));
    }
    v128.store(out + at, sum);
  }
}

/**
 * losses[c] += Σ a·b over columns [c·lanes, (c+1)·lanes) of two [rows, count·lanes] matrices, for c < count: f32 within a
 * row, f64 across rows. `a` and `b` may be one.
 */
export function columnLosses(a: usize, b: usize, rows: i32, count: i32, lanes: i32, losses: usize): void {
  const width = <usize>lanes * LANE_BYTES;
  let at: usize = 0;
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < count; column++) {
      let sum = f32x4.splat(0);
      for (const end = at + width; at < end; at += 16) {
        sum = f32x4.add(sum, f32x4.mul(v128.load(a + at), v128.load(b + at)));
      }
      const into = losses + (<usize>column << 3);
      store<f64>(into, load<f64>(into) + <f64>sumLanes(sum));
    }
  }
}

/** Where loss < best, takes over loss, both rows of ratio plus their offsets, scale and zero point. NaN never wins. */
export function keepBetter(
  lanes: i32, loss: usize, ratio: usize, offset: f32, offsetHigh: f32, scale: usize, zero: usize,
  bestLoss: usize, bestRatio: usize, bestScale: usize, bestZero: usize,
): void {
  const end = <usize>lanes * LANE_BYTES;
  for (let at: usize = 0; at < end; at += 16) {
    const now = v128.load(loss + at);
    const best = v128.load(bestLoss + at);
    const better = f32x4.lt(now, best);
    const r = f32x4.add(v128.load(ratio + at), f32x4.splat(offset));
    v128.store(bestLoss + at, v128.bitselect(now, best, better));
    v128.store(bestRatio + at, v128.bitselect(r, v128.load(bestRatio + at), better));
    const upper = f32x4.add(v128.load(ratio + end + at), f32x4.splat(offsetHigh));
    v128.store(bestRatio + end + at, v128.bitselect(upper, v128.load(bestRatio + end + at), better));
    v128.store(bestScale + at, v128.bitselect(v128.load(scale + at), v128.load(bestScale + at), better));
    v128.store(bestZero + at, v128.bitselect(v128.load(zero + at), v128.load(bestZero + at), better));
  }
}

/**
 * Error feedback within `rows` consecutive positions of the visiting order, from the last to the first.
 * target [rows, lanes]: w plus the feedback of all positions behind these; updated in place.
 * weight, error [rows, lanes]; unit [rows, rows]: the unit lower-triangular factor's block, unit[j][i] for j > i.
 * parameterRow[rows], codeRow[rows]: byte offsets of each position's row in scale and zero, and in codes.
 * pivots[rows]: squared diagonal of the factor; loss[lanes] gathers pivot·(target − value)².
 */
export function feedback(
  target: usize, weight: usize, error: usize, rows: i32, lanes: i32, unit: usize, pivots: usize,
  parameterRow: usize, scale: usize, zero: usize, half: f32, codeRow: usize, codes: usize, loss: usize,
): void {
  const stride = <usize>lanes * LANE_BYTES;
  const low = f32x4.splat(-half);
  const high = f32x4.splat(half - 1);
  for (let at: usize = 0; at < stride; at += 16) {
    let sum = v128.load(loss + at);
    for (let row = rows - 1; row >= 0; row--) {
      const i = <usize>row * stride + at;
      const group = <usize>load<u32>(parameterRow + (<usize>row << 2)) + at;
      const s = v128.load(scale + group);
      const z = v128.load(zero + group);
      const x = v128.load(target + i);
      const q = codeOf(x, s, z, low, high);
      const value = f32x4.mul(f32x4.sub(q, z), s);
      v128.store(codes + <usize>load<u32>(codeRow + (<usize>row << 2)) + at, q);
      const missed = f32x4.sub(x, value);
      sum = f32x4.add(sum, f32x4.mul(f32x4.mul(missed, missed), v128.load32_splat(pivots + (<usize>row << 2))));
      const e = f32x4.sub(v128.load(weight + i), value);
      v128.store(error + i, e);
      const factors = unit + <usize>(row * rows) * 4;
      for (let before = 0; before < row; before++) {
        const j = target + <usize>before * stride + at;
        v128.store(j, f32x4.add(v128.load(j), f32x4.mul(e, v128.load32_splat(factors + (<usize>before << 2)))));
      }
    }
    v128.store(loss + at, sum);
  }
}

/** centred = code − zero. */
export function centre(codes: usize, zero: usize, rows: i32, lanes: i32, centred: usize): void {
  const stride = <usize>lanes * LANE_BYTES;
  for (let row = 0; row < rows; row++) {
    const base = <usize>row * stride;
    for (let at: usize = 0; at < stride; at += 16) {
      v128.store(centred + base + at, f32x4.sub(v128.load(codes + base + at), v128.load(zero + at)));
    }
  }
}

/**
 * Least-squares step of each lane's scale: minimises 2·d·slope + d²·curvature, rounds the new scale to 16 bits, and
 * takes the step only if it lowers the loss and keeps the scale's sign. step[lane] is what was added; returns the sum of
 * the losses removed.
 */
export function stepScale(scale: usize, slope: usize, curvature: usize, lanes: i32, isF16: i32, step: usize): f64 {
  const end = <usize>lanes * LANE_BYTES;
  let removed: f64 = 0;
  for (let at: usize = 0; at < end; at += 16) {
    const s = v128.load(scale + at);
    const a = v128.load(slope + at);
    const b = v128.load(curvature + at);
    const next = round16(f32x4.sub(s, f32x4.div(a, b)), isF16);
    const d = f32x4.sub(next, s);
    const change = f32x4.add(f32x4.mul(f32x4.mul(d, a), f32x4.splat(2)), f32x4.mul(f32x4.mul(d, d), b));
    const take = v128.and(f32x4.lt(change, f32x4.splat(0)), f32x4.gt(f32x4.mul(next, s), f32x4.splat(0)));
    v128.store(scale + at, v128.bitselect(next, s, take));
    v128.store(step + at, v128.and(d, take));
    removed -= <f64>sumLanes(v128.and(change, take));
  }
  return removed;
}

/** y += factor[lane]·x over rows. */
export function addScaled(factor: usize, x: usize, y: usize, rows: i32, lanes: i32): void {
  const stride = <usize>lanes * LANE_BYTES;
  for (let row = 0; row < rows; row++) {
    const base = <usize>row * stride;
    for (let at: usize = 0; at < stride; at += 16) {
      const into = y + base + at;
      v128.store(into, f32x4.add(v128.load(into), f32x4.mul(v128.load(factor + at), v128.load(x + base + at))));
    }
  }
}

/**
 * One pass of coordinate descent over the codes of a block of `rows` channels, against tr(Δ G Δᵀ).
 * slope [rows, lanes] is (G·Δ) for the block and kept up to date with the block's own moves; gram [rows, rows] is the
 * block's part of G. Each code moves to the minimiser of the loss with all others fixed. Returns the loss removed.
 */
export function descend(
  error: usize, codes: usize, slope: usize, rows: i32, lanes: i32, gram: usize,
  parameterRow: usize, scale: usize, half: f32,
): f64 {
  const stride = <usize>lanes * LANE_BYTES;
  const low = f32x4.splat(-half);
  const high = f32x4.splat(half - 1);
  const two = f32x4.splat(2);
  const none = f32x4.splat(0);
  let removed: f64 = 0;
  for (let at: usize = 0; at < stride; at += 16) {
    let sum = none;
    for (let row = 0; row < rows; row++) {
      const gramRow = gram + <usize>(row * rows) * 4;
      const curvature = load<f32>(gramRow + (<usize>row << 2));
      if (!(curvature > 0)) continue;
      const i = <usize>row * stride + at;
      const s = v128.load(scale + <usize>load<u32>(parameterRow + (<usize>row << 2)) + at);
      const a = v128.load(slope + i);
      const q = v128.load(codes + i);
      const b = f32x4.splat(curvature);
      const wanted = f32x4.sub(q, f32x4.nearest(f32x4.div(a, f32x4.mul(b, s))));
      const next = f32x4.max(low, f32x4.min(high, wanted));
      const moved = f32x4.mul(f32x4.sub(next, q), s);
      const change = f32x4.mul(moved, f32x4.add(f32x4.mul(two, a), f32x4.mul(moved, b)));
      const take = f32x4.lt(change, none);
      if (!v128.any_true(take)) continue;
      sum = f32x4.add(sum, v128.and(change, take));
      const d = v128.and(moved, take);
      v128.store(codes + i, v128.bitselect(next, q, take));
      v128.store(error + i, f32x4.add(v128.load(error + i), d));
      for (let other = row + 1; other < rows; other++) {
        const j = slope + <usize>other * stride + at;
        v128.store(j, f32x4.add(v128.load(j), f32x4.mul(d, v128.load32_splat(gramRow + (<usize>other << 2)))));
      }
    }
    removed -= <f64>sumLanes(sum);
  }
  return removed;
}

@inline
function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** Σ a·b over `count` values (a multiple of 4): f32 within runs of 1,024, f64 across. */
export function dot(a: usize, b: usize, count: i32): f64 {
  let total: f64 = 0;
  const end = <usize>count * LANE_BYTES;
  for (let from: usize = 0; from < end; from += 4096) {
    const to = min(from + 4096, end);
    let sum = f32x4.splat(0);
    for (let at = from; at < to; at += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(a + at), v128.load(b + at)));
    total += <f64>sumLanes(sum);
  }
  return total;
}

/**
 * In-place Cholesky A = C·Cᵀ of the lower triangle of a [n, n] block, with C⁻¹ in `inverse` (its strict upper triangle
 * zeroed, as is C's). Returns −1, or the first position whose pivot is not above `floor`.
 */
export function factorBlock(a: usize, n: i32, floor: f64, inverse: usize): i32 {
  for (let row = 0; row < n; row++) {
    const rowAt = a + <usize>(row * n) * 4;
    for (let column = 0; column <= row; column++) {
      const columnAt = a + <usize>(column * n) * 4;
      let sum: f64 = 0;
      for (let k: usize = 0; k < <usize>column; k++) {
        sum += <f64>load<f32>(rowAt + (k << 2)) * <f64>load<f32>(columnAt + (k << 2));
      }
      const rest = <f64>load<f32>(rowAt + (<usize>column << 2)) - sum;
      if (row == column) {
        if (!(rest > floor)) return row;
        store<f32>(rowAt + (<usize>column << 2), <f32>Math.sqrt(rest));
      } else {
        store<f32>(rowAt + (<usize>column << 2), <f32>(rest / <f64>load<f32>(columnAt + (<usize>column << 2))));
      }
    }
    for (let column = row + 1; column < n; column++) store<f32>(rowAt + (<usize>column << 2), 0);
  }
  for (let row = 0; row < n; row++) {
    const rowAt = a + <usize>(row * n) * 4;
    const into = inverse + <usize>(row * n) * 4;
    const pivot = <f64>load<f32>(rowAt + (<usize>row << 2));
    for (let column = 0; column < n; column++) {
      let sum: f64 = row == column ? 1 : 0;
      if (column > row) {
        store<f32>(into + (<usize>column << 2), 0);
        continue;
      }
      for (let k = column; k < row; k++) {
        sum -= <f64>load<f32>(rowAt + (<usize>k << 2)) * <f64>load<f32>(inverse + (<usize>(k * n + column) << 2));
      }
      store<f32>(into + (<usize>column << 2), <f32>(sum / pivot));
    }
  }
  return -1;
}
