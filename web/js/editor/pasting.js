// Layouts from elsewhere, and what they do to a drawing. Each function returns what was done, in words.

import { addRegions, copies, fromLayout, placeRegions, withCaption } from "./drawing.js";
import { COPY_PX, pixels } from "./measures.js";

/** Take over a caption and nothing else. */
export function takeCaption(model, { caption }) {
  const { drawing } = model;
  if (!caption.trim()) return NOTHING;
  model.update(withCaption(drawing, caption));
  const stay = drawing.regions.length ? "; the regions stay" : "";
  const before = drawing.caption ? ` The caption was: ${drawing.caption}` : "";
  return `This text has no regions: it became the caption${stay}.${before}`;
}

/** Add regions, and the caption to an empty drawing. point: where the pointer is, or null. */
export function addLayout(model, layout, point) {
  const { drawing } = model;
  const { regions } = fromLayout(layout);
  if (layout.caption && isEmpty(drawing)) {
    model.apply({ drawing: fromLayout(layout, drawing), selection: [] });
    return `${numberOf(regions)} and a caption pasted.`;
  }
  addCopies(model, regions, point);
  const lost = layout.caption && layout.caption !== drawing.caption;
  return `${numberOf(regions)} pasted.` + (lost ? ` The caption was not: ${layout.caption}` : "");
}

/** Add regions of this or another editor, placed as placeRegions says. */
export function addCopies(model, regions, point) {
  const { drawing, size } = model;
  const fresh = copies({ regions }, regions.map((_, index) => index));
  const placed = placeRegions(fresh, drawing, point, pixels(COPY_PX, size));
  model.apply(addRegions(drawing, placed));
  return `${numberOf(regions)} pasted.`;
}

/** Replace a drawing and the picture's size by a layout's, or its caption alone if it has no more. */
export function takeLayout({ model, host }, layout) {
  const { drawing } = model;
  if (!layout.regions.length && drawing.regions.length) return takeCaption(model, layout);
  if (!layout.regions.length && !layout.caption.trim()) return NOTHING;
  const isSized = host.setSize(layout.width, layout.height);
  model.apply({ drawing: fromLayout(layout, drawing), selection: [] });
  const before = drawing.regions.length ? ` instead of ${numberOf(drawing.regions)}` : "";
  const done = `${numberOf(layout.regions)}${before}. Undo brings back what was.`;
  return isSized ? done : `${done} ${sizeStays(model.size, layout)}`;
}

/** Why the picture has not got a layout's size, and how it would. */
export const sizeStays = ({ width, height }, layout) =>
  `The picture stays ${width} × ${height}, where the layout's is ${layout.width} × ${layout.height}: ` +
  "width or height comes in by a link; set it where it begins.";

const NOTHING = "This text has neither a caption nor regions: nothing is changed.";

const isEmpty = ({ caption, regions }) => !caption && !regions.length;

/** "1 region", "2 regions". */
export const numberOf = (regions) => `${regions.length} region${regions.length === 1 ? "" : "s"}`;
