// ComfyUI's front end, as this pack uses it. Its own modules `app` and `api` come from reco.js, the
// one file that can import them.

const SCROLLING = ".reco-editor textarea, .reco-list, .reco-meter-remarks, .reco-remarks";
const POINTER = {
  pointerdown: "processMouseDown",
  pointermove: "processMouseMove",
  pointerup: "processMouseUp",
};

/** Whether a turn of the wheel is for something of ours that scrolls. */
function scrolls({ target, ctrlKey, metaKey, deltaX, deltaY }) {
  if (ctrlKey || metaKey || Math.abs(deltaX) > Math.abs(deltaY)) return false;
  for (let at = target.closest?.(SCROLLING); at; at = at.parentElement?.closest(SCROLLING)) {
    if (at.scrollHeight > at.clientHeight + 1) return true;
  }
  return false;
}

export class FrontEnd {
  #accepted = null; // what there was of errors when a prompt was last accepted

  constructor(app, api) {
    this.app = app;
    this.api = api;
  }

  get root() {
    return this.app.rootGraph ?? this.app.graph;
  }

  /** The workflow's graph and those of its subgraphs. */
  get graphs() {
    const { root } = this;
    return root ? [root, ...(root.subgraphs?.values() ?? [])] : [];
  }

  /** The place of the node that the server names "12", or "7:12" in node 7's subgraph, or null. */
  placeAt(name) {
    const nodes = [];
    for (const id of String(name).split(":")) {
      const graph = nodes.length ? nodes.at(-1).subgraph : this.root;
      const node = graph?.getNodeById(id);
      if (!node) return null;
      nodes.push(node);
    }
    return { node: nodes.pop(), within: nodes };
  }

  nodeAt(name) {
    return this.placeAt(name)?.node ?? null;
  }

  /** What a node sent when it last ran, as ComfyUI keeps it. */
  outputsOf({ id, graph }) {
    return this.app.nodeOutputs?.[graph.isRootGraph ? `${id}` : `${graph.id}:${id}`];
  }

  get workflow() {
    return this.app.extensionManager?.workflow?.activeWorkflow;
  }

  /** End a step of undo. */
  endStep() {
    const tracker = this.workflow?.changeTracker;
    if (tracker?.captureCanvasState) tracker.captureCanvasState();
    else tracker?.checkState?.();
  }

  /** Let all that changes be one step of undo, until what is returned is called. */
  openStep() {
    const { canvas } = this.app;
    canvas.emitBeforeChange();
    return () => canvas.emitAfterChange();
  }

  /** How many steps there are to "undo" or to "redo"; undefined when that cannot be told. */
  stepsTo(way) {
    return this.workflow?.changeTracker?.[`${way}Queue`]?.length;
  }

  /** Go a step "undo" or "redo". */
  travel(way) {
    const command = { undo: "Comfy.Undo", redo: "Comfy.Redo" }[way];
    this.app.extensionManager?.command?.execute(command);
  }

  /**
   * A key for "undo" or "redo" was pressed in a dialog, where front ends from 1.58 on hear none. Those
   * before go the step in the next frame, by a listener that is called before all of ours.
   */
  followUndo(way) {
    const steps = this.stepsTo(way);
    requestAnimationFrame(() => {
      if (steps && this.stepsTo(way) === steps) this.travel(way);
    });
  }

  /** Run the workflow, before all that waits if it is urgent: what Control and Enter are in ComfyUI. */
  queue(isUrgent) {
    const command = isUrgent ? "Comfy.QueuePromptFront" : "Comfy.QueuePrompt";
    this.app.extensionManager?.command?.execute(command);
  }

  /** Have the draft of the workflow saved as it is now, without a step of undo. */
  keepDraft() {
    const { workflow } = this;
    if (!workflow) return;
    workflow.isModified = true; // or the draft of a saved one would be removed
    const { changeTracker } = workflow;
    this.api.dispatchCustomEvent?.("graphChanged", changeTracker?.activeState);
  }

  /** The right-hand panel leaves its own width on each widget that it shows: take none. */
  keepWidth(widget) {
    Object.defineProperty(widget, "width", { get: () => undefined, set() {}, configurable: true });
  }

  /**
   * Whether a subgraph's node can show an editor of its subgraph: from 1.46 on it makes its widgets
   * anew at each look, of the kinds that ComfyUI knows. (Nodes 2.0 wraps the widgets of all nodes.)
   */
  canShowEditors(subgraph) {
    return !subgraph._projectPromotedWidget;
  }

  /** Why ComfyUI refused the last prompt: {node id: {class_type, errors}}, or null. */
  get refusal() {
    const { lastNodeErrors: errors } = this.app;
    const isNone = errors === this.#accepted && !Object.keys(errors ?? {}).length;
    return isNone ? null : errors;
  }

  /** The last prompt was accepted: what the first front ends with Nodes 2.0 then say is empty, not null. */
  acceptPrompt() {
    this.#accepted = this.app.lastNodeErrors;
  }

  /** Where the last run failed: {node_id, node_type, exception_message}, or null. */
  get failure() {
    return this.app.lastExecutionError;
  }

  get zoom() {
    return this.app.canvas?.ds?.scale || 1;
  }

  get hasSelection() {
    return this.app.canvas?.selectedItems?.size > 0;
  }

  /** Whether a workflow is being loaded, as also undo does. */
  get isLoading() {
    return this.app.configuringGraph;
  }

  /** A node of a type, in no graph yet. */
  createNode(type) {
    return globalThis.LiteGraph.createNode(type);
  }

  /** Address of a picture {filename, subfolder, type}. */
  addressOf(picture) {
    return this.api.apiURL(`/view?${new URLSearchParams(picture)}`);
  }

  /** The answer of nodes/routes.py. Throws an Error with its message. */
  ask(path, body) {
    return this.send(path, JSON.stringify(body), { "Content-Type": "application/json" });
  }

  /** The same to a file or text. */
  async send(path, body, headers = {}) {
    const response = await this.api.fetchApi(`/reco/${path}`, { method: "POST", headers, body });
    if (response.ok) return response.json();
    const { error } = await response.json().catch(() => ({}));
    throw new Error(error ?? `ComfyUI answered with status ${response.status}; see its log.`);
  }

  /** Fill in, as for ComfyUI's own nodes that save, %date:yyyy-MM-dd% and %Node name.widget%. */
  fillPrefix(node) {
    const widget = node.widgets?.find(({ name }) => name === "filename_prefix");
    const fill = globalThis.comfyAPI?.utils?.applyTextReplacements;
    if (widget && fill) widget.serializeValue = () => fill(this.app.graph, widget.value);
  }

  /** The file of a picture that this ComfyUI shows, as it was saved. Throws an Error otherwise. */
  async fetchPicture(link) {
    const address = new URL(link, location.href);
    if (address.origin !== location.origin) {
      throw new Error(`${address.host} is another site: save its picture, and drop the file`);
    }
    address.searchParams.delete("preview"); // which is made anew, without what the file says
    const response = await fetch(address);
    if (!response.ok) throw new Error(`ComfyUI does not find this picture (${response.status})`);
    const name = address.searchParams.get("filename") ?? address.pathname.split("/").at(-1);
    return new File([await response.blob()], name);
  }

  /**
   * Let what scrolls have the wheel, also when it is at its end: Nodes 2.0 gives it only to what has
   * the focus, and zooms elsewhere.
   */
  keepWheel() {
    const keep = (event) => {
      if (scrolls(event)) event.stopImmediatePropagation();
    };
    addEventListener("wheel", keep, { capture: true, passive: true });
  }

  /** Let the wheel zoom and the middle button pan the canvas over an element, as elsewhere. */
  passToCanvas(element) {
    const { app } = this;
    const wheel = (event) => {
      if (globalThis.LiteGraph?.vueNodesMode) return; // the node does it
      event.preventDefault();
      app.canvas.processMouseWheel(event);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    const isMiddle = ({ button, buttons }) => button === 1 || (buttons & 4) === 4;
    for (const [name, method] of Object.entries(POINTER)) {
      element.addEventListener(name, (event) => {
        if (isMiddle(event)) app.canvas[method](event);
      });
    }
  }
}
