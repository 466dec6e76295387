// Words of texts that name a color. reco_core/color_names.py has the same, and reco_core/draw.py the
// colors. Pure.

const COLORS = {
  red: "#e6194b",
  orange: "#f58231",
  yellow: "#ffe119",
  green: "#3cb44b",
  cyan: "#46dce6",
  blue: "#4363d8",
  purple: "#911eb4",
  pink: "#fabed4",
  brown: "#9a6324",
  white: "#ffffff",
  gray: "#a9a9a9",
  black: "#1a1a1a",
};

/** Further words -> the color they count as. */
const ALSO = {
  scarlet: "red",
  crimson: "red",
  golden: "yellow",
  lime: "green",
  emerald: "green",
  teal: "cyan",
  turquoise: "cyan",
  aqua: "cyan",
  navy: "blue",
  azure: "blue",
  violet: "purple",
  magenta: "purple",
  indigo: "purple",
  maroon: "brown",
  beige: "brown",
  grey: "gray",
};

const WORDS = { ...Object.fromEntries(Object.keys(COLORS).map((name) => [name, name])), ...ALSO };
const PATTERN = new RegExp(
  `(?<![\\p{L}\\p{N}_])(?:light|dark|medium|pale|deep)?(${Object.keys(WORDS).join("|")})` +
    "(?![\\p{L}\\p{N}_])",
  "u",
);

/** "#rrggbb" of the first color that a text names, or null. */
export function namedColor(text) {
  const [, word] = PATTERN.exec(text.toLowerCase()) ?? [];
  return word ? COLORS[WORDS[word]] : null;
}
