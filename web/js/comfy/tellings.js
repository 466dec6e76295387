// What runs made nodes tell, shown on them.

import { tell } from "./words.js";

export class Tellings {
  constructor(frontEnd) {
    this.frontEnd = frontEnd;
  }

  /** A node has run; one that tells nothing this time loses its former words. */
  show({ detail }) {
    const node = this.frontEnd.nodeAt(detail.display_node ?? detail.node);
    if (node) this.#tell(node, detail.output);
  }

  /** A node has failed: it told nothing. */
  forget({ detail }) {
    const node = this.frontEnd.nodeAt(detail.node_id);
    if (!node) return;
    delete this.frontEnd.outputsOf(node)?.reco_remarks;
    tell(node);
  }

  /** Undo and other tabs put new nodes in place of the old; ComfyUI keeps what these have sent. */
  showAll() {
    for (const graph of this.frontEnd.graphs) {
      for (const node of graph.nodes) this.#tell(node, this.frontEnd.outputsOf(node));
    }
  }

  #tell(node, outputs) {
    tell(node, outputs?.reco_remarks, (element) => this.frontEnd.passToCanvas(element));
  }
}
