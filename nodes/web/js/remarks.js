// What the server found when it read a layout or a file, in words on the node: text that stays, and
// only ever text, since it quotes what workflows and files say.
//
// A telling is {report: text, remarks: [{kind, message, region}]}; nodes/remarks.py sends it.

import { element } from "./dom.js";

const NAME = "reco_remarks"; // of the widget, which no workflow and no prompt holds
const MAX_HEIGHT = 180; // in pixels: what is longer scrolls; also in remarks.css
const MARGIN = 10;

let created = 0;

/** Elements that show remarks as warnings. */
export function remarkElements(remarks) {
  return remarks.map(({ message }) =>
    element(
      "div",
      { class: "reco-remark" },
      element("span", { class: "reco-remark-sign", role: "img", "aria-label": "Warning" }, "⚠"),
      element("span", {}, message),
    ),
  );
}

/** Show tellings on a node, in place of what it told before; none, or empty ones, take no room. */
export function tell(node, tellings = []) {
  const parts = tellings.flatMap(({ report = "", remarks = [] }) => [
    ...remarkElements(remarks),
    ...reportElements(report),
  ]);
  const shown = node.widgets?.find(({ name }) => name === NAME);
  if (parts.length) (shown ?? addWidget(node)).element.firstChild.replaceChildren(...parts);
  else if (shown) removeWidget(node, shown);
}

/** The first line of a report; the others on demand. */
function reportElements(report) {
  const [head, ...lines] = report.trim().split("\n");
  if (!head) return [];
  if (!lines.length) return [element("div", { class: "reco-report" }, head)];
  const more = element("div", {}, lines.join("\n").trim());
  const summary = element("summary", {}, head);
  return [element("details", { class: "reco-report" }, summary, more)];
}

function addWidget(node) {
  const text = element("div", { class: "reco-remarks-text" });
  const shown = element(
    "div",
    {
      class: "reco-remarks",
      role: "status",
      dataset: { captureWheel: "true" },
      // ComfyUI would copy nodes in place of the text that is selected.
      on: { copy: (event) => event.stopPropagation() },
    },
    text,
  );
  // A type of its own for each: Nodes 2.0 would keep a former one's element otherwise.
  const widget = node.addDOMWidget(NAME, `${NAME}:${++created}`, shown, {
    serialize: false, // into prompts
    hideInPanel: true,
    hideOnZoom: false,
    margin: MARGIN,
    selectOn: [],
  });
  widget.serialize = false; // into workflows
  let height = 0;
  widget.computeSize = (width) => [width ?? 0, height + 2 * MARGIN];
  widget.computeLayoutSize = undefined; // it takes what it needs, not what is free
  const observer = new ResizeObserver(() => {
    if (!text.offsetHeight || globalThis.LiteGraph?.vueNodesMode) return; // the page does it there
    const needed = Math.min(text.offsetHeight, MAX_HEIGHT);
    if (needed === height) return;
    height = needed;
    fit(node, widget);
  });
  observer.observe(text);
  const { onRemove } = widget;
  widget.onRemove = function () {
    observer.disconnect();
    onRemove?.call(this);
  };
  return widget;
}

function removeWidget(node, widget) {
  node.removeWidget(widget);
  fit(node, widget);
}

/** Let a node grow to hold its widgets, and shrink again as far as it grew for this one. */
function fit(node, widget) {
  const [width, height] = node.size;
  const needed = node.computeSize()[1];
  const before = height - (widget.grown ?? 0);
  widget.grown = Math.max(0, needed - before);
  node.setSize([width, before + widget.grown]);
  node.setDirtyCanvas?.(true, true);
}
