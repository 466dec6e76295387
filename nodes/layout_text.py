"""Layouts as text, in any form that is read, for models that read boxes as words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from comfy_api.latest import io

from ..reco_core.forms.labels import LABELS
from .inputs import CATEGORY, RecoLayout
from .remarks import told

if TYPE_CHECKING:
    from ..reco_core.layout import Layout

_NAMES = {label: name for name, label in LABELS.items()}


class ReCoLayoutToText(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ReCoLayoutToText",
            display_name="ReCo Layout To Text",
            category=CATEGORY,
            description="Write a layout as text, for language models and other tools.",
            inputs=[
                RecoLayout.Input("layout", tooltip="The layout to write."),
                io.Combo.Input(
                    "form",
                    options=list(_NAMES),
                    tooltip="How to write it. ReCo Layout From Text reads all but positional "
                    "words; what a form has no place for is said on the node.",
                ),
            ],
            outputs=[io.String.Output(display_name="text", tooltip="The layout in that form.")],
        )

    @classmethod
    def execute(cls, layout: Layout, form: str) -> io.NodeOutput:
        from ..reco_core.forms.table import write_layout

        written = write_layout(layout, _NAMES[form])
        return io.NodeOutput(written.text, ui=told(written.remarks))
