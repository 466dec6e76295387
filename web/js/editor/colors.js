// In which color each box is drawn: reco_core/draw.py has the same rule. Pure.

import { namedColor } from "../shared/color_words.js";

/** Colors of the regions that neither have nor name one, by their place in the drawing. */
export const PALETTE = [
  "#e6194b",
  "#3cb44b",
  "#4363d8",
  "#f58231",
  "#911eb4",
  "#46dce6",
  "#f032e6",
  "#bef014",
  "#fabed4",
  "#008080",
  "#9a6324",
  "#ffe119",
];

const known = new WeakMap(); // regions of a drawing -> their colors
const named = new WeakMap(); // a region -> what its text names

/**
 * "#rrggbb" of each region: that which was chosen, else that which its text names first, else its
 * place's of the palette, or another that is free.
 */
export function colorsOf({ regions }) {
  if (!known.has(regions)) known.set(regions, chooseColors(regions));
  return known.get(regions);
}

function chooseColors(regions) {
  const colors = regions.map((region) => region.color ?? colorNamedIn(region));
  const used = new Set(colors.flatMap((color) => (color ? [color.toLowerCase()] : [])));
  const give = (choice) =>
    colors.forEach((color, place) => {
      const given = color ?? choice(PALETTE[place % PALETTE.length]);
      if (given) used.add(given.toLowerCase());
      colors[place] = given;
    });
  give((own) => (used.has(own) ? null : own));
  give((own) => PALETTE.find((free) => !used.has(free)) ?? own);
  return colors;
}

function colorNamedIn(region) {
  if (!named.has(region)) named.set(region, namedColor(region.text));
  return named.get(region);
}
