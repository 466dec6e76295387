// Our subgraph blueprints (subgraphs/ of the pack). A blueprint is one node to ComfyUI, and a layout
// editor inside of it would not be seen: it stands beside it, with what else a picture takes.

/**
 * Property of a blueprint's node: {nodes, links}, what is put beside it. nodes: {type, pos, widgets},
 * pos counted from the blueprint's. links: [from, output, to, input], where 0 is the blueprint, and
 * from 1 on are the nodes.
 */
const BESIDE = "reco_beside";

export class Blueprints {
  constructor(frontEnd) {
    this.frontEnd = frontEnd;
  }

  /** A node is being made: a blueprint that is put down, not loaded, brings what stands beside it. */
  watch(node) {
    if (!node.isSubgraphNode?.() || this.frontEnd.isLoading) return;
    const configured = node.onConfigure;
    node.onConfigure = (...given) => {
      configured?.apply(node, given);
      const beside = node.properties[BESIDE];
      if (!beside) return;
      delete node.properties[BESIDE]; // a copy of it comes alone
      this.#follow(node, beside, this.frontEnd.openStep());
    };
  }

  /** It hangs on the pointer until it is put down or given up. */
  #follow(blueprint, beside, closeStep) {
    requestAnimationFrame(() => {
      if (blueprint.flags.ghost && blueprint.graph) {
        this.#follow(blueprint, beside, closeStep);
        return;
      }
      if (blueprint.graph) this.#accompany(blueprint, beside);
      closeStep();
    });
  }

  #accompany(blueprint, { nodes, links }) {
    const all = [blueprint, ...nodes.map((each) => this.#add(each, blueprint))];
    for (const [from, output, to, input] of links) all[from].connect(output, all[to], input);
  }

  #add({ type, pos, widgets }, { graph, pos: origin }) {
    const node = this.frontEnd.createNode(type);
    node.pos = [origin[0] + pos[0], origin[1] + pos[1]];
    graph.add(node);
    for (const widget of node.widgets) {
      if (widget.name in widgets) widget.value = widgets[widget.name];
    }
    return node;
  }
}
