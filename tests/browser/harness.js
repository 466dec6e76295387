// What ComfyPage asks of the editor, run inside its page as window.harness.
// Node ids are those of the graph that is shown: the workflow, or the subgraph that was entered.

// What the nodes of a workflow are set to, without what they add to it by themselves, as sizes.
const settings = (workflow) =>
  JSON.stringify(workflow?.nodes.map(({ id, type, widgets_values: set }) => [id, type, set ?? []]));

window.harness = {
  done: new Set(), // ids of prompts that the editor knows to be finished

  listen() {
    for (const event of ["execution_success", "execution_error", "execution_interrupted"])
      window.app.api.addEventListener(event, ({ detail }) => this.done.add(detail.prompt_id));
  },

  // The editor has restored its workflows and taken its spinner away.
  ready() {
    return Boolean(window.graph && window.app?.extensionManager?.spinner === false);
  },

  node(id) {
    const node = window.app.canvas.graph.getNodeById(id);
    if (!node) throw new Error(`no node ${id} here`);
    return node;
  },

  nodes() {
    return window.app.canvas.graph.nodes.map((node) => String(node.id));
  },

  widget(id, name) {
    const node = this.node(id);
    const found = (node.widgets ?? []).find((widget) => widget.name === name);
    if (found) return found;
    const names = (node.widgets ?? []).map((widget) => widget.name).join(", ");
    throw new Error(`node ${id} (${node.type}) has no widget ${name}, but ${names}`);
  },

  addNode(type, pos, size) {
    const node = window.LiteGraph.createNode(type);
    if (!node) throw new Error(`no node type ${type}`);
    node.pos = pos;
    window.app.canvas.graph.add(node);
    if (size) node.setSize(size);
    this.commit();
    return String(node.id);
  },

  connect(from, output, to, input) {
    const [source, target] = [this.node(from), this.node(to)];
    const slot = (slots, key) =>
      typeof key === "number" ? key : slots.findIndex((each) => each.name === key);
    const link = source.connect(slot(source.outputs, output), target, slot(target.inputs, input));
    if (!link) throw new Error(`${from}.${output} cannot be connected to ${to}.${input}`);
    this.commit();
  },

  setWidget(id, name, value) {
    const widget = this.widget(id, name);
    widget.value = value;
    widget.callback?.(value, window.app.canvas, this.node(id));
    this.commit();
  },

  // The element of a DOM widget, marked for a locator. Marks of earlier elements are removed, for
  // undo and loading make new ones.
  mark(id, name) {
    const { element } = this.widget(id, name);
    if (!element) throw new Error(`widget ${name} of node ${id} has no element`);
    const mark = `${id}:${name}`;
    for (const old of document.querySelectorAll(`[data-test-widget="${mark}"]`))
      delete old.dataset.testWidget;
    element.dataset.testWidget = mark;
    return mark;
  },

  async open(workflow) {
    // A graph's own copy: the editor keeps what it is given.
    const copy = structuredClone(workflow);
    // Before 1.40 Nodes 2.0 scales, also at undo, the nodes of what it did not make itself.
    if (!copy.nodes.length && window.LiteGraph.vueNodesMode)
      copy.extra = { workflowRendererVersion: "Vue" };
    await window.app.loadGraphData(copy, true, true, "test");
    const { workflow: store } = window.app.extensionManager;
    for (const each of [...store.openWorkflows])
      if (each.path !== store.activeWorkflow.path) await store.closeWorkflow(each);
    // Newer front ends open it in the place of the former one, whose history would go on.
    const { undoQueue, redoQueue } = this.tracker();
    undoQueue.length = redoQueue.length = 0;
  },

  tracker() {
    return window.app.extensionManager.workflow.activeWorkflow.changeTracker;
  },

  // Make what was changed by script one step of undo, as the end of a user's gesture does.
  commit() {
    const tracker = this.tracker();
    if (tracker.captureCanvasState) tracker.captureCanvasState();
    else tracker.checkState(); // before 1.40
  },

  history() {
    const { undoQueue, redoQueue } = this.tracker();
    return { undo: undoQueue.length, redo: redoQueue.length };
  },

  // Whether there is a step to "undo" or to "redo"; isRestored tells when it is gone.
  aim(way) {
    const queue = this.tracker()[`${way}Queue`];
    this.aimed = { way, left: queue.length - 1, nodes: settings(queue.at(-1)) };
    return queue.length > 0;
  },

  isRestored() {
    const { way, left, nodes } = this.aimed;
    const { activeState, _restoringState, [`${way}Queue`]: queue } = this.tracker();
    return !_restoringState && queue.length === left && settings(activeState) === nodes;
  },

  // The draft that a reload restores has the nodes and links of now: it is saved with some delay.
  draftIsSaved() {
    const parts = ({ nodes, links }) => JSON.stringify([nodes, links]);
    const now = parts(JSON.parse(JSON.stringify(window.app.rootGraph.serialize())));
    return this.drafts().some(({ data }) => parts(JSON.parse(data)) === now);
  },

  // Older front ends keep all in one place.
  drafts() {
    const kept = (key) => JSON.parse(localStorage[key]);
    const keys = Object.keys(localStorage);
    return [
      ...keys.filter((key) => key.startsWith("Comfy.Workflow.Draft.v2:")).map(kept),
      ...keys.filter((key) => key === "Comfy.Workflow.Drafts").flatMap((key) => Object.values(kept(key))),
    ];
  },

  // Where a node with its title is on the page, in CSS pixels.
  rect(id) {
    const { canvas } = window.app;
    const [x, y, width, height] = this.bounds(id);
    const { scale, offset } = canvas.ds;
    const origin = canvas.canvas.getBoundingClientRect();
    return {
      x: origin.x + (x + offset[0]) * scale,
      y: origin.y + (y + offset[1]) * scale,
      width: width * scale,
      height: height * scale,
    };
  },

  // Where a widget is on the page, in CSS pixels. Vue nodes label each with its name.
  widgetRect(id, name) {
    const widget = this.widget(id, name);
    if (widget.element?.isConnected) return widget.element.getBoundingClientRect().toJSON();
    const node = this.node(id);
    // Front ends before 1.4x name them by their class alone.
    const rows = this.element(id)?.querySelectorAll('[data-testid="node-widget"], .lg-node-widget');
    if (rows) {
      const label = widget.label ?? name;
      const row = [...rows].find((each) => each.innerText.split("\n")[0].trim() === label);
      if (!row) throw new Error(`node ${id} does not show its widget ${name}`);
      return row.getBoundingClientRect().toJSON();
    }
    const { scale } = window.app.canvas.ds;
    const { x, y, width } = this.rect(id);
    const top = y + (node.pos[1] - node.boundingRect[1] + widget.y) * scale;
    const height = (widget.computedHeight ?? window.LiteGraph.NODE_WIDGET_HEIGHT) * scale;
    return { x, y: top, width, height };
  },

  // x, y, width, height of a node with its title, in the graph's units.
  bounds(id) {
    const element = this.element(id);
    if (!element) {
      const node = this.node(id);
      node.updateArea?.();
      return [...node.boundingRect];
    }
    const { canvas } = window.app;
    const { scale, offset } = canvas.ds;
    const origin = canvas.canvas.getBoundingClientRect();
    const box = element.getBoundingClientRect();
    const x = (box.x - origin.x) / scale - offset[0];
    const y = (box.y - origin.y) / scale - offset[1];
    return [x, y, box.width / scale, box.height / scale];
  },

  // A node's element: Vue nodes have one.
  element(id) {
    return document.querySelector(`[data-node-id="${id}"]`);
  },

  // Put the middle of some nodes into the middle of the canvas, at zoom 1 or as far out as needed.
  show(ids, margin) {
    const boxes = ids.map((id) => this.bounds(id));
    const left = Math.min(...boxes.map(([x]) => x));
    const top = Math.min(...boxes.map(([, y]) => y));
    const width = Math.max(...boxes.map(([x, , w]) => x + w)) - left;
    const height = Math.max(...boxes.map(([, y, , h]) => y + h)) - top;
    const { canvas } = window.app;
    const view = canvas.canvas.getBoundingClientRect();
    const scale = Math.min(
      1,
      (view.width - 2 * margin) / width,
      (view.height - 2 * margin) / height,
    );
    canvas.ds.scale = scale;
    canvas.ds.offset[0] = view.width / 2 / scale - left - width / 2;
    canvas.ds.offset[1] = view.height / 2 / scale - top - height / 2;
    canvas.setDirty(true, true);
  },

  // Each node of the shown graph has its element, or none has: the renderer is switched over.
  rendered(vue) {
    if (Boolean(window.LiteGraph.vueNodesMode) !== vue) return false;
    return this.nodes().every((id) => Boolean(this.element(id)) === vue);
  },

  // Nodes have the size they will keep: with their pictures they grow, which is a step of undo.
  async steady() {
    const sizes = () => JSON.stringify(window.app.canvas.graph.nodes.map(({ size }) => [...size]));
    const isComing = ({ complete, loading }) => !complete && loading !== "lazy";
    const shown = () => [...document.querySelectorAll("[data-node-id] img")];
    const drawn = () => window.app.canvas.graph.nodes.flatMap(({ imgs }) => imgs ?? []);
    for (let last; last !== sizes() || [...shown(), ...drawn()].some(isComing); ) {
      last = sizes();
      await this.frames();
    }
  },

  // The next two frames are drawn, so that what follows sees the present state.
  async frames() {
    for (let n = 0; n < 2; n++) await new Promise((done) => requestAnimationFrame(done));
  },
};
