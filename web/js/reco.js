// ReCo in ComfyUI's front end, and the only file that touches it: the editor's widget, and what
// the editor needs to know of the workflow around its node.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { element } from "./shared/dom.js";
import { LayoutEditor } from "./editor/editor.js";
import { checkpointFor, isLinked, originOf } from "./comfy/graph.js";
import { tell } from "./comfy/words.js";

const WIDGET_TYPE = "RECO_EDITOR"; // nodes/editor.py names it
const MIN_SIZE = { width: 480, height: 820 }; // of a new node
const MIN_HEIGHT = 440; // of the editor, in pixels; also in editor.css
const SCROLLING = "textarea, .reco-list, .reco-meter-remarks, .reco-remarks";
const SUCCESSION_MS = 3000; // a node that comes so soon after one of its id is its successor
const LEAVING_MS = 500; // an editor goes so soon after its element at the latest

const editors = new Set();
const views = new Map(); // node id -> what was selected when the node was removed
let created = 0;
let lastPicture = null; // {filename, subfolder, type}

/** What a LayoutEditor asks of the application around it. */
class ComfyHost {
  constructor(node) {
    this.node = node;
    this.sent = {}; // what the server sent when the node last ran: {size, image}
  }

  /** {width, height} of the picture in pixels. */
  size() {
    return { width: this.side("width", 0), height: this.side("height", 1) };
  }

  side(name, axis) {
    const widget = this.sideWidget(name);
    if (!this.isLinked(name)) return positive(widget?.value) ?? 512;
    return positive(this.linkedValue(name)) ?? this.sent.size?.[axis] ?? positive(widget?.value) ?? 512;
  }

  setSize(width, height) {
    for (const [name, value] of Object.entries({ width, height })) {
      const widget = this.sideWidget(name);
      if (!widget || this.isLinked(name) || widget.value === value) continue;
      widget.value = value;
      widget.callback?.(value);
    }
  }

  sizeIsLinked() {
    return this.isLinked("width") || this.isLinked("height");
  }

  sideWidget(name) {
    return this.node.widgets?.find((widget) => widget.name === name);
  }

  isLinked(name) {
    return isLinked(this.node, name);
  }

  /** The number that a link brings, if the node it comes from shows it in a widget. */
  linkedValue(name) {
    const origin = originOf(this.node, name);
    const named = origin?.widgets?.find((widget) => widget.name === name);
    return (named ?? origin?.widgets?.find((widget) => widget.name === "value"))?.value;
  }

  /** End a step of ComfyUI's undo. */
  commit() {
    const { widget } = this;
    widget?.callback?.(widget.value);
    this.node.graph?.setDirtyCanvas?.(true, true);
    const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker;
    if (tracker?.captureCanvasState) tracker.captureCanvasState();
    else tracker?.checkState?.();
  }

  preferences() {
    return this.node.properties?.reco_editor ?? {};
  }

  setPreferences(preferences) {
    this.node.properties.reco_editor = { ...preferences };
    this.commit();
  }

  /** Address of the picture behind the boxes, or null. */
  background(kind) {
    const image = this.isLinked("image") ? this.sent.image : null;
    const picture = { image, last: lastPicture }[kind];
    return picture ? api.apiURL(`/view?${new URLSearchParams(picture)}`) : null;
  }

  zoom() {
    return app.canvas?.ds?.scale || 1;
  }

  /** The ReCo checkpoint that will read this node's layout, or "" when that cannot be told. */
  checkpoint() {
    return checkpointFor(this.node, graphs());
  }

  count(layout, checkpoint) {
    return ask("count", { layout, checkpoint });
  }

  /** {layout, remarks} of a text in any form. */
  read(text) {
    return ask("read", { text, ...this.size() });
  }

  /** {form: {label, text, remarks} or {label, error}}. */
  write(layout) {
    return ask("write", { layout });
  }
}

/** The answer of nodes/routes.py. Throws an Error with its message. */
async function ask(path, body) {
  const response = await api.fetchApi(`/reco/${path}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.ok) return response.json();
  const { error } = await response.json().catch(() => ({}));
  throw new Error(error ?? `ComfyUI answered with status ${response.status}; see its log.`);
}

const positive = (value) => (Number(value) > 0 ? Number(value) : null);

/** The workflow's graph and those of its subgraphs. */
function graphs() {
  const root = app.rootGraph ?? app.graph;
  return root ? [root, ...(root.subgraphs?.values() ?? [])] : [];
}

// The widget

function addEditor(node, name) {
  const host = new ComfyHost(node);
  const editor = new LayoutEditor(host);
  // A type of its own for each instance: Nodes 2.0 would keep a former one's element otherwise.
  host.widget = node.addDOMWidget(name, `reco_editor:${++created}`, editor.element, {
    getValue: () => editor.value,
    setValue: (value) => {
      editor.value = value;
    },
    getMinHeight: () => MIN_HEIGHT,
    hideOnZoom: false,
    socketless: true,
    selectOn: ["pointerdown"],
  });
  host.widget.serializeValue = () => editor.queued;
  chain(node, "onAdded", () => editors.add(editor)); // a copy for the clipboard never is
  passToCanvas(editor.element);
  for (const side of ["width", "height"]) {
    const widget = host.sideWidget(side);
    if (widget) chain(widget, "callback", () => editor.refresh());
  }
  chain(node, "onConfigure", () => restoreView(node, editor));
  chain(node, "onConnectionsChange", () => editor.refresh());
  chain(node, "onExecuted", ({ reco_editor: sent }) => {
    if (!sent) return;
    host.sent = sent[0];
    // Another workflow's node of the same id may be what has run.
    if (sent[0].incoming && host.isLinked("layout")) editor.receive(sent[0].incoming);
    editor.refresh();
  });
  let left = 0; // when the canvas lost the focus, taken out of the page perhaps
  editor.stage.element.addEventListener("blur", ({ relatedTarget }) => {
    left = relatedTarget ? 0 : Date.now();
  });
  chain(host.widget, "onRemove", () => {
    const focused = document.activeElement === editor.stage.element;
    saveView(node, editor, focused || Date.now() - left < LEAVING_MS);
    editors.delete(editor);
    editor.remove();
  });
  return { widget: host.widget, minWidth: MIN_SIZE.width, minHeight: MIN_SIZE.height };
}

/** Call something after a method that others may have put there. */
function chain(object, method, call) {
  const before = object[method];
  object[method] = function (...parameters) {
    const result = before?.apply(this, parameters);
    call(...parameters);
    return result;
  };
}

const workflow = () => app.extensionManager?.workflow?.activeWorkflow?.path;

/** Undo puts new nodes in place of the old: let their editors go on where these were. */
function saveView(node, editor, focused) {
  const { selection, element, host } = editor;
  const { sent } = host;
  views.set(node.id, { selection, element, sent, focused, workflow: workflow(), at: Date.now() });
}

function restoreView(node, editor) {
  const view = views.get(node.id);
  if (!view || !node.graph) return;
  views.delete(node.id);
  if (Date.now() - view.at > SUCCESSION_MS || view.workflow !== workflow()) return;
  editor.host.sent = view.sent;
  editor.refresh();
  editor.select(view.selection.filter((index) => index < editor.drawing.regions.length));
  // The first front ends with Nodes 2.0 leave the old element where it is.
  requestAnimationFrame(() => {
    if (view.element.isConnected && !editor.element.isConnected) {
      view.element.replaceWith(editor.element);
    }
  });
  if (!view.focused) return;
  // It gets a size when it is put into the page.
  const observer = new ResizeObserver(() => {
    if (!editor.stage.element.offsetWidth) return;
    editor.stage.element.focus({ preventScroll: true });
    observer.disconnect();
  });
  observer.observe(editor.stage.element);
  setTimeout(() => observer.disconnect(), SUCCESSION_MS);
}

/** Let the wheel zoom and the middle button pan ComfyUI's canvas, as everywhere else. */
function passToCanvas(element) {
  const wheel = (event) => {
    const scrolls = event.target.closest(SCROLLING);
    if (scrolls && scrolls.scrollHeight > scrolls.clientHeight && !event.ctrlKey) return;
    if (globalThis.LiteGraph?.vueNodesMode) return; // the node does it
    event.preventDefault();
    app.canvas.processMouseWheel(event);
  };
  element.addEventListener("wheel", wheel, { passive: false });
  const isMiddle = ({ button, buttons }) => button === 1 || (buttons & 4) === 4;
  const pan = {
    pointerdown: "processMouseDown",
    pointermove: "processMouseMove",
    pointerup: "processMouseUp",
  };
  for (const [name, method] of Object.entries(pan)) {
    element.addEventListener(name, (event) => {
      if (isMiddle(event)) app.canvas[method](event);
    });
  }
}

// What nodes tell

/** Show what a run made a node tell; one that tells nothing this time loses its former words. */
function showTold({ detail }) {
  const node = nodeAt(detail.display_node ?? detail.node);
  if (node) tell(node, detail.output?.reco_remarks, passToCanvas);
}

/** A node that failed told nothing. */
function forgetTold({ detail }) {
  const node = nodeAt(detail.node_id);
  if (!node) return;
  delete outputsOf(node)?.reco_remarks;
  tell(node);
}

/** Undo and other tabs put new nodes in place of the old; ComfyUI keeps what these have sent. */
function showAllTold() {
  for (const graph of graphs()) {
    for (const node of graph.nodes) {
      tell(node, outputsOf(node)?.reco_remarks, passToCanvas);
    }
  }
}

function outputsOf({ id, graph }) {
  return app.nodeOutputs?.[graph.isRootGraph ? `${id}` : `${graph.id}:${id}`];
}

/** The node that the server names "12", or "7:12" in the subgraph of node 7. */
function nodeAt(name) {
  let node = null;
  for (const id of String(name).split(":")) {
    const graph = node ? node.subgraph : (app.rootGraph ?? app.graph);
    node = graph?.getNodeById(id);
    if (!node) return null;
  }
  return node;
}

// What happens around all editors

function refreshAll() {
  const shown = graphs();
  for (const editor of editors) {
    // Subgraphs go without telling their nodes.
    if (shown.includes(editor.host.node.graph)) editor.refresh();
    else editors.delete(editor);
  }
}

function keepLastPicture({ detail }) {
  const pictures = detail?.output?.images;
  if (!pictures?.length) return;
  const { filename, subfolder = "", type } = pictures.at(-1);
  lastPicture = { filename, subfolder, type };
  refreshAll();
}

/** Tags keep a readable size: place them again when ComfyUI's zoom changes. */
function followZoom() {
  let zoom = 1;
  const check = () => {
    const now = app.canvas?.ds?.scale ?? 1;
    if (now !== zoom) editors.forEach((editor) => editor.stage.renderTags());
    zoom = now;
  };
  addEventListener("wheel", () => requestAnimationFrame(check), { capture: true, passive: true });
  addEventListener("pointerup", () => requestAnimationFrame(check), { capture: true });
}

app.registerExtension({
  name: "comfyui.reco",
  getCustomWidgets: () => ({ [WIDGET_TYPE]: addEditor }),
  onNodeOutputsUpdated: showAllTold,
  setup() {
    for (const name of ["editor", "remarks"]) {
      const href = new URL(`../css/${name}.css`, import.meta.url).href;
      document.head.append(element("link", { rel: "stylesheet", href }));
    }
    api.addEventListener("executed", showTold);
    api.addEventListener("execution_error", forgetTold);
    api.addEventListener("executed", keepLastPicture);
    api.addEventListener("graphChanged", refreshAll);
    followZoom();
  },
});
