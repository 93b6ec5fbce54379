"""Published weights of the networks that some metrics need. None ships with Loquent: they are read from the model cache."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from loquent.errors import InputError
from loquent.pretrained import ModelFile, need_model

ALEXNET: Final = ModelFile(
    name="alexnet-owt-7be5be79.pth",
    url="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    licence="BSD-3-Clause (torchvision), trained on ImageNet",
    meaning="AlexNet, the backbone of LPIPS (alex)",
)
VGG16: Final = ModelFile(
    name="vgg16-397923af.pth",
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    licence="BSD-3-Clause (torchvision), trained on ImageNet",
    meaning="VGG16, the backbone of LPIPS (vgg)",
)
INCEPTION: Final = ModelFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    url="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    licence="Apache-2.0 (TensorFlow's release, ported by pytorch-fid)",
    meaning="Inception v3 as FID uses it",
)
SYNCNET: Final = ModelFile(
    name="syncnet_v2.model",
    url="http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
    sha256="961e8696f888fce4f3f3a6c3d5b3267cf5b343100b238e79b2659bff2c605442",
    licence="MIT (joonson/syncnet_python)",
    meaning="SyncNet, which hears whether lips fit a voice",
)


def load_weights(model: ModelFile) -> dict[str, Tensor]:
    """The tensors of a file in the model cache, on the CPU; nothing in it is executed.

    Raises:
        DependencyError: the file is not in the cache; the message says where it is published and where to put it.
        InputError: it has another content, or holds no tensors.
    """
    return read_tensors(need_model(model))


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a PyTorch file.

    Raises:
        InputError: it holds something else.
    """
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as cause:  # a damaged pickle can raise anything
        raise InputError(f"{path} cannot be read as PyTorch weights ({cause}). Download it again.") from cause
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise InputError(f"{path} holds no dictionary of tensors. Download it again.")
    return tensors
