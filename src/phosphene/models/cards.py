"""A card for each network: where its dreams are good, and under which licence its weights come."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """A network by name, and where its dreams are good. '' = found by looking, when it is loaded."""

    name: str
    summary: str
    objective: str = ""  # what is dreamed when nothing is asked for
    guide_layer: str = ""  # where a guide picture's features are compared
    needs_weights: bool = True  # there is no package with its weights: the user gives or pulls a file
    layers: tuple[str, ...] = ()  # worth seeing, from fine to coarse
    licence: str = ""  # of the weights


TORCHVISION = "none stated for the weights; the code is BSD-3-Clause"
VIT = ("blocks.2", "blocks.4", "blocks.7", "blocks.10")

OWN = (
    Model(
        "efficientnet_lite2",
        "EfficientNet-Lite2, ImageNet; the default",
        "blocks.4.1",
        "blocks.3.1",
        False,
        ("blocks.2.1", "blocks.3.0", "blocks.3.2", "blocks.4.1", "blocks.4.3", "blocks.5.1"),
        "Apache-2.0",
    ),
    Model(
        "efficientnet_lite0",
        "EfficientNet-Lite0, ImageNet; smaller and faster",
        "blocks.4.2 + blocks.3.2",
        "blocks.3.1",
        False,
        ("blocks.2.1", "blocks.3.2", "blocks.4.2", "blocks.5.1"),
        "Apache-2.0",
    ),
    Model(
        "bvlc_googlenet",
        "BVLC GoogLeNet, the network of the 2015 notebook, ImageNet; needs --weights",
        "inception_4c/output",
        "inception_3b/output",
        True,
        (
            "conv2/3x3",
            "inception_3b/5x5_reduce",
            "inception_4a/output",
            "inception_4c/output",
            "inception_4d/output",
        ),
        "unrestricted",
    ),
)

# What a name's own library has; the weights are pulled, or a file. Summaries name what it was trained on.
OTHERS = (
    Model(
        "torchvision:googlenet",
        "GoogLeNet, ImageNet",
        "inception4c",
        "inception3b",
        layers=("conv3", "inception3b", "inception4a", "inception4c", "inception4d", "inception5a"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:inception_v3",
        "Inception v3, ImageNet",
        "Mixed_6c",
        "Mixed_5d",
        layers=("Mixed_5b", "Mixed_5d", "Mixed_6a", "Mixed_6c", "Mixed_6e", "Mixed_7a"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:vgg16",
        "VGG-16, ImageNet",
        "features.25",
        "features.15",
        layers=("features.8", "features.15", "features.20", "features.22", "features.25", "features.29"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:vgg19",
        "VGG-19, ImageNet",
        "features.29",
        "features.17",
        layers=("features.8", "features.17", "features.24", "features.26", "features.29", "features.35"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:resnet50",
        "ResNet-50, ImageNet",
        "layer3.3",
        "layer2",
        layers=("layer1", "layer2", "layer3.1", "layer3.3", "layer3", "layer4.0"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:convnext_tiny",
        "ConvNeXt-T, ImageNet",
        "features.5.5",
        "features.3",
        layers=("features.1", "features.3", "features.5.3", "features.5.5", "features.7"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:convnext_base",
        "ConvNeXt-B, ImageNet",
        "features.5.17",
        "features.3",
        layers=("features.1", "features.3", "features.5.9", "features.5.17", "features.7"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:swin_t",
        "Swin-T, ImageNet",
        "features.5.3",
        "features.3",
        layers=("features.1", "features.3", "features.5.1", "features.5.3", "features.7"),
        licence=TORCHVISION,
    ),
    Model(
        "torchvision:vit_b_16",
        "ViT-B/16, ImageNet",
        "encoder.layers.encoder_layer_7",
        "encoder.layers.encoder_layer_4",
        layers=tuple(f"encoder.layers.encoder_layer_{block}" for block in (2, 4, 7, 10)),
        licence=TORCHVISION,
    ),
    *(
        Model(f"timm:{name}", summary, "blocks.7", "blocks.4", layers=VIT, licence=licence)
        for name, summary, licence in (
            ("vit_small_patch16_224", "ViT-S/16, ImageNet-21k and ImageNet", "Apache-2.0"),
            ("vit_base_patch16_224", "ViT-B/16, ImageNet-21k and ImageNet", "Apache-2.0"),
            ("deit_small_patch16_224", "DeiT-S/16, ImageNet", "Apache-2.0"),
            ("deit_base_patch16_224", "DeiT-B/16, ImageNet", "Apache-2.0"),
            ("vit_small_patch14_dinov2", "DINOv2 ViT-S/14, pictures without labels", "Apache-2.0"),
            ("vit_base_patch14_dinov2", "DINOv2 ViT-B/14, pictures without labels", "Apache-2.0"),
            ("vit_small_patch16_dinov3", "DINOv3 ViT-S/16, pictures without labels", "DINOv3 License"),
            ("vit_base_patch16_siglip_224", "SigLIP 2 ViT-B/16, pictures and captions", "Apache-2.0"),
            ("vit_base_patch16_clip_224", "CLIP ViT-B/16, captions, then ImageNet", "Apache-2.0"),
        )
    ),
    Model(
        "timm:swin_tiny_patch4_window7_224",
        "Swin-T, ImageNet",
        "layers.2.blocks.3",
        "layers.1",
        layers=("layers.0", "layers.1", "layers.2.blocks.1", "layers.2.blocks.3", "layers.3"),
        licence="MIT",
    ),
    *(
        Model(
            f"timm:{name}",
            summary,
            f"stages.2.blocks.{block}",
            "stages.1",
            layers=("stages.0", "stages.1", f"stages.2.blocks.{block // 2}", f"stages.2.blocks.{block}"),
            licence="Apache-2.0",
        )
        for name, summary, block in (
            ("convnext_tiny", "ConvNeXt-T, ImageNet-12k and ImageNet", 5),
            ("convnext_base", "ConvNeXt-B, ImageNet-22k and ImageNet", 17),
        )
    ),
    Model(
        "timm:resnet50",
        "ResNet-50, ImageNet",
        "layer3.3",
        "layer2",
        layers=("layer1", "layer2", "layer3.1", "layer3.3", "layer3", "layer4.0"),
        licence="Apache-2.0",
    ),
    Model("hf:openai/clip-vit-base-patch32", "CLIP ViT-B/32, pictures and captions; has text", licence="MIT"),
    Model("hf:facebook/dinov2-small", "DINOv2 ViT-S/14, pictures without labels", licence="Apache-2.0"),
    Model(
        "hf:google/siglip-base-patch16-224",
        "SigLIP ViT-B/16, pictures and captions; has text",
        licence="Apache-2.0",
    ),
    Model(
        "open_clip:ViT-B-32/laion2b_s34b_b79k",
        "CLIP ViT-B/32, LAION-2B; has text",
        licence="MIT",
    ),
)

MODELS = OWN + OTHERS
