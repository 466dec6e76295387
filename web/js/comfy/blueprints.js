// Our subgraph blueprints (subgraphs/ of the pack). A blueprint is one node to ComfyUI, and a layout
// editor inside of it would not be seen: it stands beside it, with what else a picture takes.

/**
 * Property of a blueprint's node: {nodes, links}, what is put beside it. nodes: {type, pos, widgets},
 * pos counted from the blueprint's. links: [from, output, to, input], where 0 is the blueprint, and
 * from 1 on are the nodes.
 */
const BESIDE = "reco_beside";

const STILL_FRAMES = 10; // after which a size is taken to be the last
const MOST_FRAMES = 120; // for which it is waited for

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
      if (!blueprint.graph) closeStep();
      else whenStill(this.#accompany(blueprint, beside), closeStep);
    });
  }

  /** Returns the blueprint and what is beside it now. */
  #accompany(blueprint, { nodes, links }) {
    const all = [blueprint, ...nodes.map((each) => this.#add(each, blueprint))];
    for (const [from, output, to, input] of links) all[from].connect(output, all[to], input);
    return all;
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

/** Nodes 2.0 measures nodes after some frames: a change of size is to be no step of its own. */
function whenStill(nodes, then) {
  const sizes = () => nodes.map(({ size }) => [...size]).join();
  let [before, still] = [sizes(), 0];
  const look = (frames) => {
    const now = sizes();
    still = now === before ? still + 1 : 0;
    before = now;
    if (still === STILL_FRAMES || frames === MOST_FRAMES) then();
    else requestAnimationFrame(() => look(frames + 1));
  };
  look(0);
}
