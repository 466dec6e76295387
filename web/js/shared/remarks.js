// Remarks of the server, {kind, message, region}, as elements.

import { element } from "./dom.js";

/** Elements that show remarks as warnings. */
export const remarkElements = (remarks) =>
  remarks.map(({ message }) =>
    element(
      "div",
      { class: "reco-remark" },
      element("span", { role: "img", "aria-label": "Warning" }, "⚠"),
      element("span", {}, message),
    ),
  );

/**
 * A message of the server, perhaps of one of several checkpoints, with the number that a region has
 * in the list. It counts the regions that it is asked of; the list has others between them.
 * regions: their indices in the list.
 */
export const renumbered = (message, regions) =>
  message.replace(
    /^((?:(?:'[^']*'|"[^"]*"): )?(?:layout )?region )(\d+)/,
    (_, before, number) => `${before}${regions[number - 1] + 1}`,
  );
