"""The written forms by name, with their labels in menus, in menu order."""

LABELS = {
    "json": "layout JSON",
    "authors": "prompt in thousandths",
    "diffusers": "prompt in bins",
    "elements": "ComfyUI elements",
    "ideogram": "Ideogram caption",
    "bbox_2d": "bbox_2d JSON",
    "sidecar": "SimpleTuner .bbox JSON",
    "boxes": "ComfyUI bounding boxes",
    "tags": "<bbox> tags",
    "lines": "lines with boxes",
    "words": "positional words",
}
