"""Written forms of a layout: what people, models and tools write, read and written again."""

from .form import Form, Source
from .table import FORMS, form_named, read_layout, write_layout
from .written import Written

__all__ = ["FORMS", "Form", "Source", "Written", "form_named", "read_layout", "write_layout"]
