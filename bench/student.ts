/** 97.5th percentiles of Student's t for 1 … 9 degrees of freedom (any printed table); beyond, the normal one. */
const STUDENT = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262];
const NORMAL = 1.96;

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Half of the 95 % interval of a mean; null of fewer than two values. */
export function halfWidth(values: readonly number[]): number | null {
  const n = values.length;
  if (n < 2) return null;
  const average = mean(values);
  const variance = values.reduce((sum, value) => sum + (value - average) ** 2, 0) / (n - 1);
  return (STUDENT[n - 2] ?? NORMAL) * Math.sqrt(variance / n);
}

/** `12.3 ±0.4`; of one seed, the value alone. */
export function interval(values: readonly number[], digits: number): string {
  const half = halfWidth(values);
  return mean(values).toFixed(digits) + (half === null ? '' : ` ±${half.toFixed(digits)}`);
}
