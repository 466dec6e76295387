// Which pictures of the workflow an editor can show behind its boxes before anything runs again.

import { carriesLayout, senderOf, slotOf, slotsOf, typesOf } from "./graph.js";

// What to look behind: from a picture to how it was sampled, from there to what it was sampled from.
const FROM_PICTURE = ["IMAGE", "LATENT", "*"];
const FROM_LATENT = ["LATENT", "IMAGE", "CONDITIONING", "GUIDER", "*"];
const FROM_CONDITIONING = ["CONDITIONING", "GUIDER"];
const DRAWN = ["RECO_LAYOUT", "BOUNDING_BOX", "BOUNDING_BOXES"]; // on pictures, by what takes both

/** The picture {filename, subfolder, type} that comes into an input, if it is known by now. */
export function pictureInto(place, name, outputsOf) {
  const { place: origin } = senderOf(place, slotOf(place.node, name)) ?? {};
  if (!origin) return null;
  return chosenFile(origin.node) ?? fileOf(outputsOf(origin.node)?.images?.[0]);
}

/** Whether what a node shows was sampled from another's layout, and nothing was drawn on it. */
export function isSampledFrom(place, editor, followed = FROM_PICTURE, seen = new Set()) {
  const { node } = place;
  if (seen.has(node) || (followed === FROM_PICTURE && isLinkedTo(place, DRAWN))) return false;
  seen.add(node);
  if (followed === FROM_CONDITIONING && carriesLayout(place, editor)) return true;
  return slotsOf(place, followed).some((slot) => {
    const { place: origin, slot: output } = senderOf(place, slot) ?? {};
    return origin && isSampledFrom(origin, editor, behind(origin.node.outputs[output]), seen);
  });
}

function behind(output) {
  const types = typesOf(output);
  if (types.includes("LATENT")) return FROM_LATENT;
  return types.includes("IMAGE") || types.includes("*") ? FROM_PICTURE : FROM_CONDITIONING;
}

const isLinkedTo = (place, types) => slotsOf(place, types).some((slot) => senderOf(place, slot));

/** The file that a node like Load Image has in its widget: "folder/name.png [output]". */
function chosenFile(node) {
  const { required = {}, optional = {} } = node.constructor.nodeData?.input ?? {};
  for (const [name, [, options]] of Object.entries({ ...required, ...optional })) {
    if (!options?.image_upload) continue;
    const value = node.widgets?.find((widget) => widget.name === name)?.value;
    const parts = /^(?:(.*)\/)?([^/]+?)(?: \[(input|output|temp)\])?$/.exec(String(value ?? ""));
    if (!parts) continue;
    const [, subfolder = "", filename, type = options.image_folder ?? "input"] = parts;
    return { filename, subfolder, type };
  }
  return null;
}

/** A picture that a node sent, without what else is said of it. */
export function fileOf(sent) {
  if (!sent?.filename) return null;
  const { filename, subfolder = "", type = "output" } = sent;
  return { filename, subfolder, type };
}

/** The last picture sampled from each editor's layout; it outlives a reload of the page. */
export class LastPictures {
  constructor(frontEnd) {
    this.frontEnd = frontEnd;
  }

  of(node) {
    const kept = sessionStorage.getItem(this.#key(node));
    return kept && JSON.parse(kept);
  }

  /** A node has run and shown pictures: keep the last for the editors, of these, of its layout. */
  keep({ detail }, editors) {
    const picture = fileOf(detail?.output?.images?.at?.(-1));
    const place = picture && this.frontEnd.placeAt(detail.display_node ?? detail.node);
    if (!place) return;
    for (const { node } of editors) {
      if (isSampledFrom(place, node)) {
        sessionStorage.setItem(this.#key(node), JSON.stringify(picture));
      }
    }
  }

  #key({ id, graph }) {
    return `reco-last-picture:${this.frontEnd.root?.id}:${graph?.id}:${id}`;
  }
}
