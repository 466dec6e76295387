// Layouts from elsewhere, and what they do to a drawing.

import {
  addRegions,
  copies,
  fromLayout,
  placeRegions,
  toLayout,
  withCaption,
} from "./drawing.js";

/**
 * The layout of a text such as the editor copies, whose regions may still lack texts, else null:
 * all else is for the server to read, and to say what it left out or why it cannot.
 */
export function readCopied(text) {
  try {
    const layout = JSON.parse(text);
    const read = toLayout(fromLayout(layout), layout);
    const isWhole = addsNothing({ ...layout, regions: [] }, { ...read, regions: [] });
    return isWhole && layout.regions.every((region, i) => isRead(region, read.regions[i]))
      ? read
      : null;
  } catch {
    return null;
  }
}

const isRead = (region, read) =>
  addsNothing(region, read) && "text" in region && hasArea(read.box);

const hasArea = ([x0, y0, x1, y1]) => x0 < x1 && y0 < y1;

/** Whether an object says nothing besides, or otherwise than, what was read of it. */
const addsNothing = (data, read) => JSON.stringify({ ...read, ...data }) === JSON.stringify(read);

/** Take over a caption and nothing else. Returns what was done, in words. */
export function takeCaption(model, { caption }) {
  const { drawing } = model;
  if (!caption.trim()) return "This text has neither a caption nor regions: nothing is changed.";
  model.update(withCaption(drawing, caption));
  const stay = drawing.regions.length ? "; the regions stay" : "";
  const before = drawing.caption ? ` The caption was: ${drawing.caption}` : "";
  return `This text has no regions: it became the caption${stay}.${before}`;
}

/**
 * Add regions: those of a whole picture where they were, others at a point, if there is one.
 * Returns what was done, in words.
 */
export function addLayout(model, layout, point) {
  const { drawing } = model;
  const { regions } = fromLayout(layout);
  if (layout.caption && !drawing.caption && !drawing.regions.length) {
    model.apply({ drawing: fromLayout(layout, drawing), selection: [] });
    return `${numberOf(regions)} and a caption pasted.`;
  }
  const fresh = copies({ regions }, regions.map((_, index) => index));
  const at = layout.caption ? null : point;
  model.apply(addRegions(drawing, placeRegions(fresh, at)));
  const lost = layout.caption && layout.caption !== drawing.caption;
  return `${numberOf(regions)} pasted.` + (lost ? ` The caption was not: ${layout.caption}` : "");
}

/** "1 region", "2 regions". */
export const numberOf = (regions) => `${regions.length} region${regions.length === 1 ? "" : "s"}`;
