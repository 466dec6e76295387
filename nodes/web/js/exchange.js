// A panel that shows the layout as text in several forms, and takes any of them.

import { choice, element } from "./dom.js";
import { fromLayout } from "./drawing.js";

const FORMS = {
  json: "JSON",
  authors: "prompt in thousandths",
  diffusers: "prompt in bins",
  elements: "ComfyUI elements",
};

export class Exchange {
  constructor(editor) {
    this.editor = editor;
    this.form = "json";
    this.questions = 0;
    this.text = element("textarea", {
      class: "reco-exchange-text",
      spellcheck: false,
      "aria-label": "The layout as text",
    });
    this.message = element("div", { class: "reco-exchange-message", role: "status" });
    this.choice = choice("Form of the text", FORMS, (form) => {
      this.form = form;
      this.write();
    });
    this.element = element(
      "div",
      {
        class: "reco-exchange",
        hidden: true,
        role: "dialog",
        "aria-label": "Copy or paste the layout as text",
        on: { keydown: (event) => this.keyDown(event) },
      },
      element(
        "div",
        { class: "reco-exchange-row" },
        this.choice,
        button("Copy", "Copy this text", () => this.copy()),
        button("Replace", "Replace the drawing by the layout of this text", () => this.replace()),
        button("Add", "Add the regions of this text to the drawing", () => this.add()),
        button("Close", "Close (Esc)", () => this.close()),
      ),
      this.text,
      this.message,
    );
  }

  open() {
    this.element.hidden = false;
    this.write();
    this.text.focus();
  }

  close() {
    this.element.hidden = true;
    this.editor.stage.element.focus();
  }

  /** Show the drawing in the chosen form. */
  async write() {
    const { layout, regions } = this.editor.complete;
    const question = ++this.questions;
    const before = this.text.value;
    const left = this.editor.drawing.regions.length - regions.length;
    try {
      const { text, error } = (await this.editor.host.write(layout))[this.form];
      if (question !== this.questions || this.text.value !== before) return; // pasted meanwhile
      this.text.value = text ?? "";
      const note = left ? `${left} hidden or without a text: left out.` : "";
      this.message.textContent = error ?? note;
    } catch (error) {
      this.message.textContent = error.message;
    }
  }

  async read() {
    try {
      return await this.editor.host.read(this.text.value);
    } catch (error) {
      this.message.textContent = error.message;
      return null;
    }
  }

  async replace() {
    const layout = await this.read();
    if (!layout) return;
    const { editor } = this;
    editor.host.setSize(layout.width, layout.height);
    editor.apply({ drawing: fromLayout(layout, editor.drawing.incoming), selection: [] });
    this.close();
  }

  async add() {
    const layout = await this.read();
    if (!layout) return;
    this.editor.clipboard.add(layout, null);
    this.close();
  }

  async copy() {
    this.text.select();
    try {
      await navigator.clipboard.writeText(this.text.value);
    } catch {
      document.execCommand("copy"); // pages that are not served from localhost or by https
    }
    this.message.textContent = "Copied.";
  }

  keyDown(event) {
    event.stopPropagation();
    if (event.key === "Escape") this.close();
  }
}

const button = (text, title, press) =>
  element("button", { type: "button", class: "reco-word", title, on: { click: press } }, text);
