// How a person likes to draw: what can be chosen, and what a workflow's file says was chosen. Pure.

import { CELL_PX } from "./measures.js";
import { UNITS } from "./units.js";

/** Preferences that are one of several: name -> {value: words}. */
export const CHOICES = {
  snap: { off: "no snap", cells: `snap ${CELL_PX} px`, grid: "snap grid" },
  guides: { none: "no lines", thirds: "thirds", grid: "grid" },
  background: { none: "no picture", image: "input", last: "result" },
  list: { texts: "texts", numbers: "texts and numbers" },
  unit: Object.fromEntries(Object.entries(UNITS).map(([name, { label }]) => [name, label])),
};
/** By how much the background is dimmed, at most. */
export const MOST_DIM = 0.9;

/** Where nothing was chosen. */
const USUAL = {
  snap: "cells",
  snapBoxes: true,
  guides: "none",
  background: "image",
  dim: 0.5,
  list: "texts",
  unit: "px",
};

/**
 * All preferences, from what a file says of some.
 *
 * Returns {preferences, refused}: refused is a text for each that cannot be meant, whose usual value
 * holds then. Names that are not known are passed over: a newer version may know them.
 */
export function understood(said) {
  const isTable = typeof said === "object" && said !== null && !Array.isArray(said);
  const refused = said === undefined || isTable ? [] : [refusal("preferences", said)];
  const preferences = {};
  for (const [name, usual] of Object.entries(USUAL)) {
    const isSaid = isTable && Object.hasOwn(said, name);
    const isKnown = isSaid && isPossible(name, said[name]);
    preferences[name] = isKnown ? said[name] : usual;
    if (isSaid && !isKnown) refused.push(refusal(name, said[name]));
  }
  return { preferences, refused };
}

function isPossible(name, value) {
  if (name in CHOICES) return typeof value === "string" && Object.hasOwn(CHOICES[name], value);
  if (name === "dim") return Number.isFinite(value) && value >= 0 && value <= MOST_DIM;
  return typeof value === typeof USUAL[name];
}

function refusal(name, value) {
  const shown = String(JSON.stringify(value)).slice(0, 60);
  return `ReCo editor: the workflow says ${name} = ${shown}, which is not known; the usual one is used`;
}
