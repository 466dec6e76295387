// A panel that shows the layout as text in several forms, and takes any of them: what was read is shown
// before it replaces anything, and what cannot be read replaces nothing.

import { element, set } from "../shared/dom.js";
import { remarkElements } from "../shared/remarks.js";
import { choice, options, wordButton } from "./controls.js";
import { addLayout, takeLayout } from "./pasting.js";
import { previewOf } from "./preview.js";

const DELAY_MS = 200; // after the last key, before the text is read

export class Exchange {
  constructor(editor) {
    this.editor = editor;
    this.forms = {}; // the server's answer: {form: {label, text, remarks} or {label, error}}
    this.form = null; // the chosen one
    this.note = "";
    this.questions = 0;
    this.timer = null;
    this.reading = null; // {layout, remarks} of the text, when it is not the drawing's own
    this.text = element("textarea", {
      class: "reco-exchange-text",
      spellcheck: false,
      placeholder: "Paste a layout in any form, or what a language model wrote",
      dir: "auto",
      "aria-label": "The layout as text",
      on: { input: () => this.readSoon() },
    });
    this.message = element("div", { class: "reco-exchange-message", role: "status" });
    this.choice = choice("Form of the text", {}, (form) => {
      this.form = form;
      this.show();
    });
    this.replaceButton = wordButton("Replace", "", () => this.take(takeLayout));
    this.addButton = wordButton("Add", "Add these regions to the drawing", () =>
      this.take(({ model }, layout) => addLayout(model, layout, null)),
    );
    this.element = this.arrange();
  }

  arrange() {
    return element(
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
        wordButton("Close", "Close (Esc)", () => this.close()),
      ),
      this.text,
      this.message,
      element("div", { class: "reco-exchange-row" }, this.replaceButton, this.addButton),
    );
  }

  open() {
    this.element.hidden = false;
    this.choice.hidden = false;
    this.text.value = "";
    this.write();
    this.text.focus();
  }

  close() {
    this.forget();
    this.element.hidden = true;
    this.editor.stage.focus();
  }

  /** Open it with a text, and what was read of it or why it cannot be read. */
  offer(text, reading) {
    this.element.hidden = false;
    this.choice.hidden = true; // its forms are the drawing's
    this.forget();
    this.text.value = text;
    this.showReading(reading);
    (reading ? this.replaceButton : this.text).focus();
  }

  /** Open it with the layout that a picture or a file of JSON holds; say so when it holds none. */
  async offerFile(file) {
    const { editor } = this;
    const question = this.forget();
    editor.announce(`Reading ${file.name}…`);
    try {
      const { text, ...reading } = await editor.host.recall(file);
      if (question !== this.questions) return;
      editor.announce("");
      this.offer(text, reading);
    } catch (error) {
      if (question === this.questions) editor.announce(`${file.name}: ${error.message}`);
    }
  }

  /** The same of a picture that this ComfyUI shows. */
  async offerLink(link) {
    const { editor } = this;
    try {
      this.offerFile(await editor.host.fetchPicture(link));
    } catch (error) {
      editor.announce(error.message);
    }
  }

  /** Let no answer come that was asked for before. Returns the number of the next question. */
  forget() {
    clearTimeout(this.timer);
    this.showReading(null);
    return ++this.questions;
  }

  /** Have the drawing written in every form, and show one. */
  async write() {
    const { host, model } = this.editor;
    const { drawing, complete } = model;
    const question = this.forget();
    const left = drawing.regions.length - complete.regions.length;
    try {
      const forms = await host.write(complete.layout);
      this.forms = forms;
      this.showChoice();
      if (question !== this.questions) return; // pasted meanwhile
      this.note = left ? `${left} hidden or without a text: left out.` : "";
      this.show();
    } catch (error) {
      if (question === this.questions) this.say(error.message);
    }
  }

  showChoice() {
    const forms = Object.entries(this.forms);
    this.form ??= forms[0][0];
    const labels = Object.fromEntries(forms.map(([form, { label }]) => [form, label]));
    this.choice.replaceChildren(...options(labels));
    this.choice.value = this.form;
  }

  show() {
    this.forget();
    const { text = "", error, remarks } = this.forms[this.form];
    this.text.value = text;
    this.say(error ?? this.note, remarks);
  }

  say(text, remarks = []) {
    this.message.replaceChildren(text, ...remarkElements(remarks));
  }

  readSoon() {
    this.forget();
    this.choice.hidden = this.text.value !== this.forms[this.form]?.text; // as in offer()
    this.say(this.text.value.trim() ? "Reading…" : "");
    if (this.text.value.trim()) this.timer = setTimeout(() => this.read(), DELAY_MS);
  }

  async read() {
    const question = this.forget();
    try {
      const reading = await this.editor.host.read(this.text.value);
      if (question === this.questions) this.showReading(reading);
    } catch (error) {
      if (question === this.questions) this.say(error.message);
    }
  }

  /** Show a reading, which can be taken over then; null: nothing can. */
  showReading(reading) {
    const { replaceButton, addButton } = this;
    const { drawing } = this.editor.model;
    const layout = reading?.layout;
    const isCaption = layout && !layout.regions.length;
    this.reading = reading;
    if (reading) this.message.replaceChildren(...previewOf(reading));
    set(replaceButton, "textContent", isCaption ? "Use as caption" : "Replace");
    set(replaceButton, "title", isCaption ? "The regions stay" : "Replace the drawing by this");
    set(replaceButton, "disabled", !layout || (isCaption && !layout.caption.trim()));
    set(addButton, "hidden", !drawing.regions.length);
    set(addButton, "disabled", !layout || isCaption);
  }

  /** Take over what was read by a function of pasting.js. */
  take(change) {
    const { editor, reading } = this;
    const done = change(editor, reading.layout);
    this.close();
    editor.announce(done);
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

  /** What ComfyUI has on Control, such as to run, it does: see keys.js. */
  keyDown(event) {
    if (event.ctrlKey || event.metaKey) return;
    event.stopPropagation();
    if (event.key !== "Escape") return;
    event.preventDefault(); // the large view stays
    this.close();
  }
}
