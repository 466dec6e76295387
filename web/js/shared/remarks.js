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
