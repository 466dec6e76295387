// What the server found when it read a layout or a file, in words on the node: text that stays, and
// only ever text, since it quotes what workflows and files say.
//
// A telling is {report: text, remarks: [{kind, message, region}]}; nodes/remarks.py sends it.

import { element } from "../shared/dom.js";
import { remarkElements } from "../shared/remarks.js";

const NAME = "reco_remarks"; // of the widget, which no workflow and no prompt holds
const MAX_HEIGHT = 180; // in pixels: what is longer scrolls
const MARGIN = 10; // around the widget, in the classic renderer
const GAP = 8; // between widgets at the most, in either renderer

const shown = new WeakMap(); // node -> its Words
const nodes = new WeakMap(); // element -> its node
let created = 0;

/**
 * Show tellings on a node, in place of what it told before; none, or empty ones, take no room.
 * prepare: is given the element of a new widget.
 */
export function tell(node, tellings = [], prepare = () => {}) {
  const parts = tellings.flatMap(({ report = "", remarks = [] }) => [
    ...remarkElements(remarks),
    ...(report ? [element("div", { class: "reco-report" }, report)] : []),
  ]);
  if (!parts.length) return shown.get(node)?.remove();
  if (!shown.has(node)) {
    shown.set(node, new Words(node));
    prepare(shown.get(node).element);
  }
  shown.get(node).show(parts);
}

/** The widget on a node, and the height that the node has for its sake alone. */
class Words {
  constructor(node) {
    this.node = node;
    this.height = 0; // of the text, as the classic renderer has to know
    this.before = node.size[1]; // height of the node without the widget
    this.text = element("div", { class: "reco-remarks-text" });
    this.element = element(
      "div",
      {
        class: "reco-remarks",
        role: "status",
        style: { maxHeight: `${MAX_HEIGHT}px` },
        dataset: { captureWheel: "true" },
        // ComfyUI would copy nodes in place of the text that is selected.
        on: { copy: (event) => event.stopPropagation() },
      },
      this.text,
    );
    this.widget = this.addWidget();
    this.resizing = new ResizeObserver(() => this.measure());
    this.resizing.observe(this.text);
    // No workflow, and so no step of undo, tells whether the words were there.
    const { onSerialize } = node;
    const serialize = (data) => {
      onSerialize?.call(node, data);
      if (this.grown) data.size = [data.size[0], data.size[1] - this.grown];
    };
    node.onSerialize = serialize;
    this.restore = () => {
      if (node.onSerialize === serialize) node.onSerialize = onSerialize;
    };
    nodes.set(this.element, node);
    requestAnimationFrame(() => this.takePlace());
  }

  /** The first front ends with Nodes 2.0 leave the element of the node before an undo in its place. */
  takePlace() {
    const { node, element } = this;
    const old = document.querySelector(`[data-node-id="${node.id}"] .reco-remarks`);
    if (!old || element.isConnected) return;
    const { graph } = nodes.get(old);
    if (!graph || graph === node.graph) old.replaceWith(element); // and not one of a subgraph
  }

  addWidget() {
    // A type of its own for each: Nodes 2.0 would keep a former one's element otherwise.
    const widget = this.node.addDOMWidget(NAME, `${NAME}:${++created}`, this.element, {
      serialize: false, // into prompts
      hideInPanel: true,
      hideOnZoom: false,
      margin: MARGIN,
      selectOn: [],
    });
    widget.serialize = false; // into workflows
    widget.computeSize = (width) => [width ?? 0, this.height + 2 * MARGIN];
    widget.computeLayoutSize = undefined; // it takes what it needs, not what is free
    return widget;
  }

  show(parts) {
    this.text.replaceChildren(...parts);
  }

  remove() {
    const { node, grown } = this; // while it is shown
    shown.delete(node);
    this.resizing.disconnect();
    node.removeWidget(this.widget);
    this.restore();
    this.resize(node.size[1] - grown);
  }

  measure() {
    if (!this.text.offsetHeight || isVue()) return; // there the page gives it its height
    const height = Math.min(this.text.offsetHeight, MAX_HEIGHT);
    if (height === this.height) return;
    const without = this.node.size[1] - this.grown;
    this.height = height;
    this.resize(without);
  }

  /** How much higher the node is than without the widget; 0 if someone has given it more room. */
  get grown() {
    const room = isVue() ? this.element.offsetHeight : this.height + 2 * MARGIN;
    const more = shown.get(this.node) === this ? this.node.size[1] - this.before : 0;
    return more > 0 && more <= room + GAP ? more : 0;
  }

  resize(height) {
    const { node } = this;
    if (isVue()) return;
    node.setSize([node.size[0], Math.max(height, node.computeSize()[1])]);
    node.setDirtyCanvas?.(true, true);
  }
}

const isVue = () => globalThis.LiteGraph?.vueNodesMode;
