"""Keys of a single file, as the latent-diffusion code names them; each family has its text keys."""

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
FACTS = "reco_facts"
"""Of the tensor that says what a checkpoint is, in the UNet as in the text encoder."""
FIRST_CONVOLUTION = UNET_PREFIX + "input_blocks.0.0.weight"
"""Of shape (channels, channels of the input, 3, 3)."""
UNET_FACTS = UNET_PREFIX + FACTS
