"""Written forms of a layout: what people, models and tools write, read and written again."""
