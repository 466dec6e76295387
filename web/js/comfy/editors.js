// The layout editors of all nodes: each as a widget, and what concerns them together.

import { LayoutEditor, MIN_HEIGHT } from "../editor/editor.js";
import { ComfyHost } from "./host.js";
import { LastPictures } from "./pictures.js";
import { Succession } from "./succession.js";

const MIN_SIZE = { width: 480, height: 940 }; // of a new node

export class Editors {
  #shown = new Set();
  #created = 0;

  constructor(frontEnd) {
    this.frontEnd = frontEnd;
    this.succession = new Succession(frontEnd);
    this.lastPictures = new LastPictures(frontEnd);
  }

  /** Put an editor on a node, as the widget of an input; returns what ComfyUI asks of a widget. */
  add(node, name) {
    const host = new ComfyHost(node, this.frontEnd, () => this.lastPictures.of(node));
    const editor = new LayoutEditor(host);
    const widget = this.#addWidget(node, name, editor);
    host.attach(widget);
    this.frontEnd.passToCanvas(editor.element);
    for (const side of ["width", "height"]) {
      const sideWidget = host.sideWidget(side);
      if (sideWidget) chain(sideWidget, "callback", () => editor.refresh());
    }
    chain(node, "onAdded", () => this.#shown.add(editor)); // a copy for the clipboard never is
    chain(node, "onConfigure", () => this.succession.restore(editor));
    chain(node, "onConnectionsChange", () => editor.refresh());
    chain(node, "onExecuted", ({ reco_editor: sent }) => sent && takeSent(editor, sent[0]));
    const leave = this.succession.watch(editor);
    chain(widget, "onRemove", () => {
      leave();
      this.#shown.delete(editor);
      editor.remove();
    });
    return { widget, minWidth: MIN_SIZE.width, minHeight: MIN_SIZE.height };
  }

  #addWidget(node, name, editor) {
    // A type of its own for each instance: Nodes 2.0 would keep a former one's element otherwise.
    const type = `reco_editor:${++this.#created}`;
    const widget = node.addDOMWidget(name, type, editor.element, {
      getValue: () => editor.value,
      setValue: (value) => editor.load(value),
      getMinHeight: () => MIN_HEIGHT,
      hideOnZoom: false,
      socketless: true,
      selectOn: ["pointerdown"],
    });
    this.frontEnd.keepWidth(widget);
    widget.serializeValue = () => editor.queued;
    widget.afterQueued = () => this.frontEnd.acceptPrompt();
    return widget;
  }

  refresh() {
    const { graphs } = this.frontEnd;
    for (const editor of this.#shown) {
      // Subgraphs go without telling their nodes.
      if (graphs.includes(editor.host.node.graph)) editor.refresh();
      else this.#shown.delete(editor);
    }
  }

  /** A node has run, and may have shown a picture. */
  keepPicture(event) {
    const hosts = [...this.#shown].map(({ host }) => host);
    this.lastPictures.keep(event, hosts);
    this.refresh();
  }

  /** Letters and handles keep their size when ComfyUI's zoom changes. */
  followZoom() {
    const check = () => this.#shown.forEach((editor) => editor.followZoom());
    const soon = () => requestAnimationFrame(check);
    for (const name of ["wheel", "pointerup", "keyup"]) {
      addEventListener(name, soon, { capture: true, passive: true });
    }
  }
}

/** What the server sent when the editor's node ran. */
function takeSent(editor, sent) {
  const { host } = editor;
  host.takeSent(sent);
  // Another workflow's node of the same id may be what has run.
  if (sent.incoming && host.isLinked("layout")) editor.receive(sent.incoming);
  editor.refresh();
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
