// Registers ReCo with ComfyUI's front end. The only file here that does anything when imported.

import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { Blueprints } from "./comfy/blueprints.js";
import { Editors } from "./comfy/editors.js";
import { FrontEnd } from "./comfy/frontend.js";
import { Tellings } from "./comfy/tellings.js";
import { element } from "./shared/dom.js";

const STYLES = ["editor", "canvas", "meter", "list", "menu", "remarks", "exchange"]; // below css/
const WIDGET_TYPE = "RECO_EDITOR"; // nodes/editor.py names it

const frontEnd = new FrontEnd(app, api);
const editors = new Editors(frontEnd);
const blueprints = new Blueprints(frontEnd);
const tellings = new Tellings(frontEnd);

app.registerExtension({
  name: "comfyui.reco",
  getCustomWidgets: () => ({ [WIDGET_TYPE]: (node, name) => editors.add(node, name) }),
  nodeCreated(node) {
    if (node.comfyClass === "ReCoSaveImage") frontEnd.fillPrefix(node);
    blueprints.watch(node);
  },
  onNodeOutputsUpdated: () => tellings.showAll(),
  setup() {
    for (const name of STYLES) {
      const href = new URL(`../css/${name}.css`, import.meta.url).href;
      document.head.append(element("link", { rel: "stylesheet", href }));
    }
    api.addEventListener("executed", (event) => tellings.show(event));
    api.addEventListener("execution_error", (event) => tellings.forget(event));
    api.addEventListener("executed", (event) => editors.keepPicture(event));
    api.addEventListener("graphChanged", () => editors.refresh());
    editors.followZoom();
    frontEnd.keepWheel();
  },
});
