// Undo puts new nodes in place of the old: their editors go on where these were.

const SUCCESSION_MS = 3000; // a node that comes so soon after one of its id is its successor
const LEAVING_MS = 500; // an editor goes so soon after its element at the latest

export class Succession {
  #views = new Map(); // node id -> what was to be seen when the node was removed

  constructor(frontEnd) {
    this.frontEnd = frontEnd;
  }

  /** Watch an editor. Returns what is to be called when its node is removed. */
  watch(editor) {
    let left = 0; // when the canvas lost the focus, taken out of the page perhaps
    editor.canvas.addEventListener("blur", ({ relatedTarget }) => {
      left = relatedTarget ? 0 : Date.now();
    });
    return () => {
      const focused = document.activeElement === editor.canvas;
      this.#keep(editor, focused || Date.now() - left < LEAVING_MS);
    };
  }

  #keep({ model, element, host, large, viewport }, focused) {
    const { selection } = model;
    const { isLarge } = large;
    const { view } = viewport;
    const { sent, node } = host;
    const workflow = this.frontEnd.workflow?.path;
    const shown = { isLarge, view, selection, element, sent, focused, workflow };
    this.#views.set(node.id, { ...shown, at: Date.now() });
  }

  /** Let an editor go on where that of a node of the same id was a moment ago. */
  restore(editor) {
    const { host, model } = editor;
    const view = this.#views.get(host.node.id);
    if (!view || !host.node.graph) return;
    this.#views.delete(host.node.id);
    const late = Date.now() - view.at > SUCCESSION_MS;
    if (late || view.workflow !== this.frontEnd.workflow?.path) return;
    host.takeSent(view.sent);
    editor.refresh();
    model.select(view.selection.filter((index) => index < model.drawing.regions.length));
    // The first front ends with Nodes 2.0 leave the old element where it is.
    requestAnimationFrame(() => {
      if (view.element.isConnected && !editor.element.isConnected) {
        view.element.replaceWith(editor.element);
      }
    });
    onceShown(editor.canvas, () => {
      if (view.isLarge) editor.large.open();
      editor.viewport.show(view.view);
      if (view.focused) editor.canvas.focus({ preventScroll: true });
    });
  }
}

/** Do something once an element has a size: when it is put into the page. */
function onceShown(element, act) {
  const observer = new ResizeObserver(() => {
    if (!element.offsetWidth) return;
    observer.disconnect();
    act();
  });
  observer.observe(element);
  setTimeout(() => observer.disconnect(), SUCCESSION_MS);
}
