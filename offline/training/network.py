"""The road scene network: VGG-19's sixteen convolutions, narrowed, with linear heads.

Topology after Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
recognition" (2015), configuration E: five blocks of 2, 2, 4, 4, 4 convolutions 3x3, each block
closed by a 2x2 max pooling. Batch normalization follows one convolution of every block while
training and is folded into it for release. The three wide dense layers of the original are left
out: each head reads the last feature map directly through one linear layer, so that a class's
evidence can be shown place by place (class activation maps) and nearly all the arithmetic is
convolution. What `offline.motion` measured joins the last feature map through two small layers: a
turn is then felt as well as seen. On pictures shrunk by averaging the last poolings are left out:
that averaging then stands in for them, and the heads see the same grid of places.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import keras
import numpy as np

BLOCKS: Final = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
"""Convolutions and channels of VGG-19's blocks at width 1."""
MOTION_UNITS: Final = 32
MOTION_GAIN: Final = 8.0
"""Bytes come as 0..1 and leave as -4..4, so that a small slope is no small number."""


def build(
    classes_of_head: Mapping[str, Sequence[str]],
    *,
    height: int,
    width: int,
    channels: int = 3,
    width_multiplier: float = 0.25,
    poolings: int = len(BLOCKS),
    dropout: float = 0.2,
    codes: int = 0,
    auxiliary: Sequence[str] = (),
) -> keras.Model:
    """Build the network for training.

    Parameters
    ----------
    classes_of_head : mapping of str to sequence of str
        Heads and their classes, in output order.
    height, width, channels : int
        Input size; pixels are given as luma / 255.
    width_multiplier : float
        Factor on every block's channels.
    poolings : int
        How many blocks end in a pooling, the first ones. At half the input size four poolings
        leave the head the same grid of places as five do at full size, and all weights carry over.
    dropout : float
        Share of the last feature map dropped while training.
    codes : int
        Bytes of motion beside each stack, given as byte / 255; 0 for none.
    auxiliary : sequence of str
        Names of training-only outputs, one real number each.

    Returns
    -------
    keras.Model
        Inputs: a dict of `stack` and, where there are any, `codes`. Outputs: a dict of logits by
        head, and of reals by auxiliary name; the auxiliary ones see the pictures only.
    """
    picture = keras.Input((height, width, channels), name="stack")
    x = picture
    for block, (convolutions, full_channels) in enumerate(BLOCKS, start=1):
        for index in range(1, convolutions + 1):
            name = f"block{block}_conv{index}"
            normalized = index == (1 if block == 1 else convolutions)
            # Normalizing every convolution nearly halves the speed of training on a CPU (77
            # frames/s a core at 80x48, 130 without any); the first one, which takes the
            # exposure out, and then one a block keep training stable.
            x = keras.layers.Conv2D(
                max(8, round(full_channels * width_multiplier)),
                3,
                padding="same",
                use_bias=not normalized,
                kernel_initializer="he_normal" if index == 1 else PassThrough(),
                name=name,
            )(x)
            if normalized:
                x = keras.layers.BatchNormalization(momentum=0.97, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(name=f"{name}_relu")(x)
        if block <= poolings:
            x = keras.layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    features = keras.layers.Flatten(name="features")(x)
    dropped = keras.layers.Dropout(dropout, name="dropout")(features)
    inputs, joined = {"stack": picture}, dropped
    if codes:
        inputs["codes"] = keras.Input((codes,), name="codes")
        felt = keras.layers.Rescaling(MOTION_GAIN, -MOTION_GAIN / 2.0, name="motion")(
            inputs["codes"]
        )
        for number in (1, 2):
            felt = keras.layers.Dense(MOTION_UNITS, activation="relu", name=f"motion{number}")(felt)
        joined = keras.layers.Concatenate(name="seen_and_felt")([dropped, felt])
    outputs: dict[str, Any] = {}
    for head, classes in classes_of_head.items():
        outputs[head] = keras.layers.Dense(
            len(classes), kernel_initializer=_head_initializer(), name=head
        )(joined)
    for name in auxiliary:
        outputs[name] = keras.layers.Dense(1, kernel_initializer=_head_initializer(), name=name)(
            dropped
        )
    return keras.Model(inputs, outputs, name="road_scene")


@keras.saving.register_keras_serializable(package="gradewise")
class PassThrough(keras.initializers.Initializer):
    """Starts a convolution as the identity plus noise.

    A block's later convolutions have as many outputs as inputs; started so, sixteen plain layers
    learn from the first steps on as five would (Zagoruyko and Komodakis, "DiracNets", 2017).
    """

    def __init__(self, identity: float = 0.9, noise: float = 0.3) -> None:
        self._identity, self._noise = identity, noise
        self._he = keras.initializers.HeNormal()

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        rows, columns, inputs, outputs = shape
        identity = np.zeros(tuple(shape), np.float32)
        for k in range(min(inputs, outputs)):
            identity[rows // 2, columns // 2, k, k] = self._identity
        return identity + self._noise * self._he(shape, dtype=dtype)

    def get_config(self) -> dict[str, float]:
        return {"identity": self._identity, "noise": self._noise}


def _head_initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.01)


def released(model: keras.Model, heads: Sequence[str], shrink: int) -> keras.Model:
    """The network for single stacks of full size, with only the named heads as outputs.

    A network trained on pictures shrunk by averaging gets that averaging as its first layer. Codes
    travel in the first row of one more plane (`preprocessing.joined`), so that every runtime sees
    one input. A fixed batch keeps shape arithmetic out of the converted model.
    """
    _, height, width, channels = model.input["stack"].shape
    codes = model.input["codes"].shape[1] if "codes" in model.input else 0
    shape = (1, height * shrink, width * shrink, channels + bool(codes))
    entry = keras.Input(batch_shape=shape, name="input")
    picture = entry[..., :channels] if codes else entry
    inputs = {"stack": keras.layers.AveragePooling2D(shrink)(picture) if shrink > 1 else picture}
    if codes:
        inputs["codes"] = keras.layers.Reshape((codes,))(entry[:, :1, :codes, channels:])
    outputs = model(inputs, training=False)
    return keras.Model(entry, {head: outputs[head] for head in heads})


def convolution_macs(model: keras.Model) -> int:
    """Multiply-accumulate operations of one inference, convolutions and heads."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            _, rows, columns, channels = layer.output.shape
            total += rows * columns * channels * int(np.prod(layer.kernel.shape[:3]))
        elif isinstance(layer, keras.layers.Dense):
            total += int(np.prod(layer.kernel.shape))
    return total
