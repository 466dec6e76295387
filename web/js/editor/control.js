// What samplers do with a region beyond the paper, where something is set: reco_core/control.py. The
// editor keeps it and says so; ReCo Region Settings sets it.

export const STRONGEST = 10;

const within = (highest) => [
  `a number from 0 to ${highest}`,
  (value) => Number.isFinite(value) && value >= 0 && value <= highest,
];
const KINDS = {
  strength: within(STRONGEST),
  start: within(1),
  end: within(1),
  negative: ["a text", (value) => typeof value === "string"],
};

/** Its names in a region. */
export const CONTROL = Object.keys(KINDS);

/** check: is called with (name, value, kind in words, function that tells whether it is right). */
export function checkControl(region, check) {
  for (const [name, [kind, isRight]] of Object.entries(KINDS)) {
    if (region[name] !== undefined) check(name, region[name], kind, isRight);
  }
  const { start = 0, end = 1 } = region;
  check("start", start, "before its end", () => start < end);
}

/** What is set for a region, in words; "" for nothing. */
export function controlWords({ strength = 1, start = 0, end = 1, negative = "" }) {
  const words = [];
  if (strength === 0) words.push("off");
  else if (strength !== 1) words.push(`strength ${strength}`);
  if (start > 0 || end < 1) words.push(`from ${percent(start)} to ${percent(end)}`);
  if (negative.trim()) words.push(`without ${negative.trim()}`);
  return words.join(", ");
}

const percent = (share) => `${Number((100 * share).toFixed(1))} %`;
