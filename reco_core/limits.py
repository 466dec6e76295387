"""How much of anything a person or a file may hand in; checked where it enters, before any work.

All are far above what a text encoder can read (1,232 tokens in the largest checkpoint published).
"""

MAX_TEXT = 20_000
"""Characters of a caption or of a region's text."""
MAX_WORDS = 100_000
"""Characters of all texts of a layout together."""
MAX_REGIONS = 2_000
"""Regions of a layout, and boxes of a list."""
MAX_SIDE = 65_536
"""Pixels of a layout's width or height."""
IMAGE_SIDE = 16_384
"""Pixels of an image's width or height in ComfyUI: of what its nodes make, and what models do."""
MAX_MASK_PIXELS = 1 << 28
"""Pixels, a byte each, of all masks of a layout's regions together."""
MAX_PROMPT = 400_000
"""Characters of a text that is no JSON: all words and all positions that a layout may have."""
MAX_DOCUMENT = 2_000_000
"""Characters of a layout, prompt or JSON that is pasted, queued or sent to a route."""
MAX_ANNOTATIONS = 100_000_000
"""Characters of an annotation file, which describes many pictures."""
MAX_PICTURE = 64_000_000
"""Bytes of a picture from which a layout is recalled."""
MAX_PICTURE_TEXT = 8_000_000
"""Bytes of the texts in it: the workflow that made it, twice."""

SIZE_STEP = 8
"""Pixels: sides of a layout are its multiples, since a latent of Stable Diffusion covers 8 x 8."""
