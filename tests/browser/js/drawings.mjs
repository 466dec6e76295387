// Drawings to test with. They are frozen, so that a function that changes what it is given throws.

import { addRegions, EMPTY } from "../../../web/js/editor/drawing.js";

export function frozen(value) {
  if (value && typeof value === "object") {
    Object.values(value).forEach(frozen);
    Object.freeze(value);
  }
  return value;
}

/** A drawing of regions, each a box or an object that has one. */
export function drawingOf(...regions) {
  const objects = regions.map((region) => (Array.isArray(region) ? { box: region } : region));
  return frozen(addRegions(EMPTY, objects).drawing);
}

export const boxesOf = ({ regions }) => regions.map(({ box }) => box);
