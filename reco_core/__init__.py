"""ReCo, region-controlled text-to-image generation, without ComfyUI and without diffusers.

Yang et al., "ReCo: Region-Controlled Text-to-Image Generation", CVPR 2023, arXiv 2211.15518.
"""
