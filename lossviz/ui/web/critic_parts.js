// What both acts of the critic share.

/** As many numbers as `count`, evenly from `low` to `high`. */
export const evenly = ([low, high, count]) => Float64Array.from({ length: count }, (_, i) => low + ((high - low) * i) / (count - 1));

/** Coordinates that lie one after the other, by place. */
export const grouped = (values, dims) => Array.from({ length: values.length / dims }, (_, i) => Array.from(values.slice(dims * i, dims * (i + 1))));

/** The largest size of finite numbers. */
export const highest = (values) => values.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 0);

/** One trace for all arrows: from each place to another, `[x, y, x, y]`. */
export function arrowTrace(moves) {
  const seen = moves.filter((move) => move.every(Number.isFinite));
  return { x: seen.flatMap(([x, , to]) => [x, to, null]), y: seen.flatMap(([, y, , to]) => [y, to, null]) };
}

/** Of an array with a first axis by loss, the part of one. */
export function partOf({ values, shape }, position) {
  const size = values.length / shape[0];
  return values.subarray(position * size, (position + 1) * size);
}
