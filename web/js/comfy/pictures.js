// Which pictures of the workflow an editor can show behind its boxes before anything runs again.

import { carriesLayout, keyOf, optionsOf, senderOf, slotOf, slotsOf, typesOf } from "./graph.js";

// What to look behind: from a picture to what it was made of, from conditioning to what that was.
const CONDITIONING = ["CONDITIONING", "GUIDER"];
const PICTURE = ["IMAGE", "LATENT", "*"];
const DRAWN = ["RECO_LAYOUT", "BOUNDING_BOX", "BOUNDING_BOXES", "BBOX", "SEGS"]; // on pictures

/** The picture {filename, subfolder, type} that comes into an input, if it is known by now. */
export function pictureInto(place, name, outputsOf) {
  const { place: origin } = senderOf(place, slotOf(place.node, name)) ?? {};
  if (!origin) return null;
  return chosenFile(origin.node) ?? fileOf(outputsOf(origin.node)?.images?.[0]);
}

/**
 * Whether what a node gives by an output, or shows, was sampled from another's layout, and nothing
 * was drawn on it. slot: of the output; undefined for what it shows.
 */
export function isSampledFrom(place, editor, slot, seen = new Set()) {
  const key = `${keyOf(place)}/${slot}`;
  if (seen.has(key)) return false;
  seen.add(key);
  const output = place.node.outputs?.[slot];
  const isPicture = !output || typesOf(output).some((type) => PICTURE.includes(type));
  if (isPicture && drawsOn(place, output)) return false;
  if (!isPicture && carriesLayout(place, editor)) return true;
  const followed = isPicture ? [...PICTURE, ...CONDITIONING] : CONDITIONING;
  return slotsOf(place, followed).some((input) => {
    const { place: origin, slot: from } = senderOf(place, input) ?? {};
    return origin && isSampledFrom(origin, editor, from, seen);
  });
}

/** Whether a node gets what it may draw on its pictures: one that samples does not draw it. */
function drawsOn(place, output) {
  const isLinkedTo = (types) => slotsOf(place, types).some((slot) => senderOf(place, slot));
  return isLinkedTo(DRAWN) && !isLinkedTo(CONDITIONING) && !keeps(place.node, output);
}

/** Whether the server says that a node draws nothing on what it shows or gives: nodes/inputs.py. */
const keeps = (node, output) =>
  optionsOf(node).some(
    ([, { reco_keeps: names }]) => names && (!output || names.includes(output.name)),
  );

/** The file that a node like Load Image has in its widget: "folder/name.png [output]". */
function chosenFile(node) {
  for (const [name, options] of optionsOf(node)) {
    if (!options.image_upload) continue;
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
