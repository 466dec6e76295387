// A panel that shows the layout as text in several forms, and takes any of them.

import { element } from "../shared/dom.js";
import { remarkElements } from "../shared/remarks.js";
import { choice, options, wordButton } from "./controls.js";
import { fromLayout } from "./drawing.js";
import { addLayout, takeCaption } from "./pasting.js";

export class Exchange {
  constructor(editor) {
    this.editor = editor;
    this.forms = {}; // the server's answer: {form: {label, text, remarks} or {label, error}}
    this.form = null; // the chosen one
    this.note = "";
    this.questions = 0;
    this.text = element("textarea", {
      class: "reco-exchange-text",
      spellcheck: false,
      "aria-label": "The layout as text",
    });
    this.message = element("div", { class: "reco-exchange-message", role: "status" });
    this.choice = choice("Form of the text", {}, (form) => {
      this.form = form;
      this.show();
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
        wordButton("Copy", "Copy this text", () => this.copy()),
        wordButton("Replace", "Replace the drawing by the layout of this text", () => this.replace()),
        wordButton("Add", "Add the regions of this text to the drawing", () => this.add()),
        wordButton("Close", "Close (Esc)", () => this.close()),
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
    this.editor.stage.focus();
  }

  /** Have the drawing written in every form, and show one. */
  async write() {
    const { host, model } = this.editor;
    const { drawing, complete } = model;
    const question = ++this.questions;
    const before = this.text.value;
    const left = drawing.regions.length - complete.regions.length;
    try {
      const forms = await host.write(complete.layout);
      if (question !== this.questions || this.text.value !== before) return; // pasted meanwhile
      this.forms = forms;
      this.note = left ? `${left} hidden or without a text: left out.` : "";
      this.show();
    } catch (error) {
      this.say(error.message);
    }
  }

  show() {
    const forms = Object.entries(this.forms);
    this.form ??= forms[0][0];
    const labels = Object.fromEntries(forms.map(([form, { label }]) => [form, label]));
    this.choice.replaceChildren(...options(labels));
    this.choice.value = this.form;
    const { text = "", error, remarks } = this.forms[this.form];
    this.text.value = text;
    this.say(error ?? this.note, remarks);
  }

  say(text, remarks = []) {
    this.message.replaceChildren(text, ...remarkElements(remarks));
  }

  /** Take over what the text says by a function of {layout, remarks}; it returns what to add. */
  async take(change) {
    let reading;
    try {
      reading = await this.editor.host.read(this.text.value);
    } catch (error) {
      return this.say(error.message);
    }
    const note = change(reading.layout);
    if (note || reading.remarks.length) this.say(note ?? "Done.", reading.remarks);
    else this.close();
  }

  replace() {
    return this.take((layout) => {
      const { host, model } = this.editor;
      const { drawing } = model;
      if (!layout.regions.length && drawing.regions.length) return takeCaption(model, layout);
      host.setSize(layout.width, layout.height);
      model.apply({ drawing: fromLayout(layout, drawing), selection: [] });
    });
  }

  add() {
    return this.take((layout) => {
      if (!layout.regions.length) return "This text has no regions to add.";
      this.editor.announce(addLayout(this.editor.model, layout, null));
    });
  }

  async copy() {
    this.text.select();
    try {
      await navigator.clipboard.writeText(this.text.value);
    } catch {
      document.execCommand("copy"); // pages that are not served from localhost or by https
    }
    this.say("Copied.");
  }

  keyDown(event) {
    event.stopPropagation();
    if (event.key === "Escape") this.close();
  }
}
