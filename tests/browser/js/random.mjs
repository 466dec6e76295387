// Random numbers, points and boxes that are the same in every run.

/** Numbers in [0, 1) from a seed (mulberry32). */
function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What tests draw at random, each time another. */
export class Random {
  constructor(seed) {
    this.number = randomNumbers(seed);
  }

  between(low, high) {
    return low + this.number() * (high - low);
  }

  integer(low, high) {
    return Math.floor(this.between(low, high + 1));
  }

  pick(items) {
    return items[this.integer(0, items.length - 1)];
  }

  /** A point of the image, or up to `outside` beyond its edges. */
  point(outside = 0) {
    return [this.between(-outside, 1 + outside), this.between(-outside, 1 + outside)];
  }

  /** A box in the image, not smaller than least on both sides; some touch the image's edges. */
  box(least = 0.01) {
    const [x0, x1] = this.side(least);
    const [y0, y1] = this.side(least);
    return [x0, y0, x1, y1];
  }

  boxes(count, least) {
    return Array.from({ length: count }, () => this.box(least));
  }

  side(least) {
    const length = this.between(least, 1);
    const start = this.pick([0, 1 - length, this.between(0, 1 - length)]);
    return [start, Math.min(1, start + length)];
  }
}

/** Run a check many times, each with its own random choices; a failure names the seed. */
export function always(check, times = 300) {
  for (let seed = 1; seed <= times; seed++) {
    try {
      check(new Random(seed));
    } catch (error) {
      error.message = `with seed ${seed}: ${error.message}`;
      throw error;
    }
  }
}
