// What can be done to regions, by buttons, keys and the menu alike. selection: their indices.

import {
  changeRegions,
  duplicateRegions,
  orderRegions,
  removeRegions,
} from "./drawing.js";
import { COPY_PX, pixels } from "./measures.js";

export function duplicate(model, selection) {
  if (!selection.length) return;
  model.apply(duplicateRegions(model.drawing, selection, pixels(COPY_PX, model.size)));
}

export function remove(model, selection) {
  if (selection.length) model.apply(removeRegions(model.drawing, selection));
}

/** Switch "locked" or "hidden" to what the region at `index` does not have. */
export function toggle(model, selection, property, index) {
  const patch = { [property]: !model.drawing.regions[index][property] };
  model.update(changeRegions(model.drawing, selection, patch));
}

/** front: whether they are drawn above all others, and are the last in the prompt. */
export function order(model, selection, front) {
  model.apply(orderRegions(model.drawing, selection, front));
}

export function removeAll(model) {
  const { drawing } = model;
  remove(model, drawing.regions.map((_, index) => index));
}
