"""What a run takes on each device and on disk, in bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes that a run takes on each device, and on disk."""

    base: str
    """Where the model's sizes are from."""
    picture: tuple[int, int]
    """Width and height in pixels of the largest."""
    max_length: int
    micro_batch: int
    unet: int
    text_encoder: int
    autoencoder: int
    gradients: int
    optimizer: int
    average: int
    kept_for_backward: int
    """What a micro-batch's forward pass leaves for its backward pass."""
    step_peak: int
    """The most that passes take beside weights, gradients included."""
    grid_peak: int
    """The most that drawing a sample grid takes beside weights."""
    flops: int
    """Operations of a sample's forward and backward passes."""
    states: int
    """Resumable states on disk at once: those that are kept, and one being written."""
    output: int
    """The file that training ends with."""
    files: int
    """Such files at the end, with those that are written on the way."""

    @property
    def activations(self) -> int:
        """What the highest point of a micro-batch takes beside gradients."""
        return max(0, self.step_peak - self.gradients)

    @property
    def averaging(self) -> int:
        """What the averages' update takes for a moment, beyond the passes before it: differences
        of all averaged weights, when gradients are gone."""
        return max(0, self.average - max(self.step_peak, self.gradients))

    @property
    def drawing(self) -> int:
        """What sample grids take for a moment, beyond what steps do; gradients are gone then."""
        step = self.gradients + self.activations + self.averaging
        return max(0, self.grid_peak - step)

    @property
    def total(self) -> int:
        """At the highest point of a step, or of drawing a sample grid."""
        held = self.unet + self.text_encoder + self.autoencoder + self.optimizer + self.average
        return held + self.gradients + self.activations + self.averaging + self.drawing

    @property
    def disk(self) -> int:
        """For states, output and the files on the way."""
        state = self.gradients + self.optimizer + self.average  # of what learns alone
        return self.states * state + self.files * self.output


@dataclass(frozen=True)
class Speed:
    """samples: a second, reading of pictures left out. device: they were measured on, in steps."""

    samples: float
    device: str
    steps: int
