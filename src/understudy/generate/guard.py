"""Guarded sampling: while an image is drawn, it is kept apart from the training images.

Paper     the idea, a guidance by the gradient of the similarity to the nearest training image, applied only where the
          similarity is high: Chen, Liu, Xu: "Towards Memorization-Free Diffusion Models", CVPR 2024 (arXiv
          2404.00922). This is an independent implementation of another form.
Departs   it moves the predicted clean image itself, by an angle in closed form, and needs no gradient of the network;
          similarity is Pearson's correlation of the modalities, and its limit comes from the training images.

In each evaluation of the network, the predicted clean image, averaged down to 64 x 64 and standardised, is a point u on
a sphere. Its nearest training image is a point m, at the angle a = acos(r), where r is their correlation. Let b be acos
of `usual`, the correlation with another subject's image that only 1 in 100 training images exceeds (memorization.py).
Where a < b, u is turned along the great circle away from m, which is minus the gradient of r, to the angle

    a + guard (b - a):

guard 1 ends at what is usual between people, guard 0 changes nothing. Mean and contrast of the image stay. The turn is
made in 64 x 64 and added to the pixels of each average alike. An image that is m has no such direction: it is turned
towards what the noisy image has in common with nothing in m.

It cannot promise that an image is no copy: it knows one kind of similarity, and the audit many (docs/audit.md).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from understudy.config.generator import Denoising
from understudy.run.device_images import DeviceImages
from understudy.stack import Stack

from .annotation_channel import Coding
from .memorization import BLOCK, Memorization, low_resolution
from .nearest_images import nearest, standardised

SAME = 0.01  # radians; a prediction nearer than this to a training image is that image


class Guard:
    """Of the training images of `memorization`. It holds them at 64 x 64: 64 KB for an image of four modalities.

    Args:
        strength: `guard`, without unit; 1: as far apart as is usual between people.
    """

    def __init__(self, memorization: Memorization, strength: float):
        self.modalities, self.strength = memorization.modalities, strength
        self.references_MK = torch.cat(list(memorization.references()))
        self.least = torch.tensor(memorization.usual, device=self.references_MK.device).acos()  # radians

    @classmethod
    def of(cls, stack: Stack, coding: Coding, options: Denoising, device: torch.device | str) -> "Guard":
        """From all images of the stack that the generator with these options was trained on, and where `mirror` showed
        them mirrored, from these as well. Raises ValueError where an image cannot be read."""
        modalities = coding.modalities(len(stack.channels))
        blocks = (range(start, min(start + BLOCK, len(stack))) for start in range(0, len(stack), BLOCK))
        small = (low_resolution(torch.from_numpy(stack.read(block)), modalities) for block in blocks)
        images_NCHW, people = torch.cat([x_NCHW.round().to(torch.uint8) for x_NCHW in small]), stack.people()
        if options.mirror:
            images_NCHW, people = torch.cat([images_NCHW, images_NCHW.flip(3)]), people and [*people, *people]
        return cls(Memorization(DeviceImages(images_NCHW, device), modalities, people), options.guard)

    def change(self, image_NCHW: Tensor, noisy_NCHW: Tensor) -> Tensor:
        """What to add to the predicted clean images of these noisy ones; 0 for those that are far enough from all
        training images."""
        small_NCHW = low_resolution(image_NCHW, self.modalities)
        flat_NK = small_NCHW.flatten(1)
        own_NK, contrast_N1 = standardised(flat_NK), (flat_NK - flat_NK.mean(1, keepdim=True)).norm(dim=1, keepdim=True)
        r_N, place_N = nearest(own_NK, [self.references_MK])
        nearest_NK, angle_N1 = self.references_MK[place_N], r_N.clamp(-1, 1).acos()[:, None]
        noise_NK = standardised(low_resolution(noisy_NCHW, self.modalities).flatten(1))
        away_NK = torch.where(angle_N1 > SAME, _apart(own_NK, nearest_NK), _apart(noise_NK, nearest_NK))
        to_N1 = angle_N1 + self.strength * (self.least - angle_N1).clamp(min=0)
        turned_NK = to_N1.cos() * nearest_NK + to_N1.sin() * away_NK
        change_NK = torch.where(angle_N1 < self.least, contrast_N1 * (turned_NK - own_NK), 0.0)
        change_NCHW = torch.zeros_like(image_NCHW)
        change_NCHW[:, : self.modalities] = F.interpolate(change_NK.view_as(small_NCHW), image_NCHW.shape[2:])
        return change_NCHW


def _apart(x_NK: Tensor, nearest_NK: Tensor) -> Tensor:
    """The direction (norm 1) of what x has beside its part along the nearest."""
    rest_NK = x_NK - (x_NK * nearest_NK).sum(1, keepdim=True) * nearest_NK
    return rest_NK / rest_NK.norm(dim=1, keepdim=True).clamp(min=torch.finfo(rest_NK.dtype).tiny)
