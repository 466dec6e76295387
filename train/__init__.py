"""Training and evaluation of ReCo checkpoints: `python -m train --help`."""
