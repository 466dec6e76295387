// What a layout from elsewhere does to a drawing when it is added. Each tells what it did, in words.

import { addRegions, copies, fromLayout, placeRegions, withCaption } from "./drawing.js";

/** Take over a caption and nothing else. */
export function takeCaption(model, { caption }) {
  const { drawing } = model;
  if (!caption.trim()) return "This text has neither a caption nor regions: nothing is changed.";
  model.update(withCaption(drawing, caption));
  const stay = drawing.regions.length ? "; the regions stay" : "";
  const before = drawing.caption ? ` The caption was: ${drawing.caption}` : "";
  return `This text has no regions: it became the caption${stay}.${before}`;
}

/** Add regions: those of a whole picture where they were, others at a point, if there is one. */
export function addLayout(model, layout, point) {
  const { drawing } = model;
  const { regions } = fromLayout(layout);
  if (layout.caption && !drawing.caption && !drawing.regions.length) {
    model.apply({ drawing: fromLayout(layout, drawing.incoming), selection: [] });
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
