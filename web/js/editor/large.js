// The large view: the editor as a dialog over all of ComfyUI. Its element stays where it is in the
// page, so that its node never misses it; the browser shows it above, and keeps the focus in it. What
// ComfyUI says meanwhile of a run is below: it says that too.

import { FIT } from "./view.js";

const TROUBLE_MS = 250; // between two looks whether a run has failed

export class LargeView {
  #isLarge = false;
  #trouble = null; // the last that ComfyUI had with a run
  #watching = null; // a timer

  constructor(editor) {
    this.editor = editor;
    this.dialog = null;
  }

  attach(dialog) {
    this.dialog = dialog;
    dialog.addEventListener("close", () => this.#show(false));
    // Nothing that the hand does here is meant for the graph below.
    for (const event of ["wheel", "pointerdown", "pointermove", "pointerup"]) {
      dialog.addEventListener(event, (told) => this.keep(told), { passive: false });
    }
  }

  get isLarge() {
    return this.#isLarge;
  }

  toggle() {
    if (!this.close()) this.open();
  }

  open() {
    if (this.#isLarge || !this.dialog.isConnected) return;
    this.dialog.showModal();
    this.#show(true);
  }

  /** Returns whether it was open. */
  close() {
    if (!this.#isLarge) return false;
    this.dialog.close();
    this.#show(false);
    return true;
  }

  #show(isLarge) {
    if (this.#isLarge === isLarge) return;
    this.#isLarge = isLarge;
    this.dialog.classList.toggle("reco-large", isLarge);
    this.dialog.role = isLarge ? "dialog" : "group";
    this.dialog.dataset.captureWheel = String(isLarge); // Nodes 2.0 leaves the wheel to it then
    // It takes the focus of a click beside all fields, which else ComfyUI would have.
    if (isLarge) this.dialog.tabIndex = -1;
    else this.dialog.removeAttribute("tabindex");
    this.#watch(isLarge);
    this.editor.viewport.show(FIT);
    this.editor.stage.render();
    this.editor.stage.focus();
  }

  /** Say in the status line what runs from now on are refused for, or fail at. */
  #watch(isLarge) {
    clearInterval(this.#watching);
    if (!isLarge) return;
    this.#trouble = this.editor.host.trouble();
    this.#watching = setInterval(() => this.#tellTrouble(), TROUBLE_MS);
  }

  #tellTrouble() {
    if (!this.dialog.isConnected) return clearInterval(this.#watching);
    const before = this.#trouble;
    this.#trouble = this.editor.host.trouble();
    if (this.#trouble?.cause === before?.cause) return;
    if (this.#trouble) this.editor.announce(this.#trouble.words);
    else if (this.editor.status.textContent === before.words) this.editor.announce("");
  }

  keep(event) {
    if (!this.#isLarge) return;
    event.stopImmediatePropagation();
    if (event.type === "wheel" && event.ctrlKey) event.preventDefault();
  }
}
