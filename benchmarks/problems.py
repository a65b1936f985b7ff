"""Named sets of problem lines: what is measured."""

from __future__ import annotations

SETS: dict[str, tuple[str, ...]] = {
    # The 3x3 layers of ResNet-50, with its first and two of its 1x1.
    "resnet": (
        "conv2d n1 c3 o64 i224x224 k7x7 s2x2 p3x3 float32",
        "conv2d n1 c64 o64 i56x56 k3x3 p1x1 float32",
        "conv2d n1 c128 o128 i28x28 k3x3 p1x1 float32",
        "conv2d n1 c256 o256 i14x14 k3x3 p1x1 float32",
        "conv2d n1 c512 o512 i7x7 k3x3 p1x1 float32",
        "conv2d n1 c128 o128 i56x56 k3x3 s2x2 p1x1 float32",
        "conv2d n1 c64 o256 i56x56 k1x1 float32",
        "conv2d n1 c512 o128 i28x28 k1x1 float32",
    ),
    "mobilenet": (
        "conv2d n1 c32 o32 g32 i112x112 k3x3 p1x1 float32",
        "conv2d n1 c144 o144 g144 i56x56 k3x3 s2x2 p1x1 float32",
        "conv2d n1 c384 o384 g384 i14x14 k5x5 p2x2 float32",
        "conv2d n1 c24 o144 i56x56 k1x1 float32",
    ),
    "image": (
        "conv2d n1 c1 o1 i1024x1024 k3x3 p1x1 reflect float32",
        "conv2d n1 c1 o1 i1024x1024 k5x5 p2x2 reflect float32",
        "conv2d n1 c1 o1 i1024x1024 k9x9 p4x4 reflect float32",
        "conv2d n1 c1 o1 i1024x1024 k15x15 p7x7 reflect float32",
        "conv2d n1 c1 o1 i512x512 k31x31 p15x15 reflect float32",
        "conv2d n1 c1 o1 i1024x1024 k7x7 p3x3 reflect float64",
        "conv2d n3 c1 o1 i512x512 k7x7 p3x3 symmetric float32",
    ),
    "signal": (
        "conv1d n1 c1 o1 i64 k5 float32",
        "conv1d n1 c1 o1 i100000 k16 float32",
        "conv1d n1 c1 o1 i100000 k64 float32",
        "conv1d n1 c1 o1 i100000 k511 float32",
        "conv1d n64 c1 o1 i10000 k31 p15 reflect float32",
        "conv1d n1 c64 o64 i4000 k9 p4 float32",
    ),
    "long_signal": (
        "conv1d n1 c1 o1 i1000000 k511 p255 float32",
        "conv1d n1 c1 o1 i1000000 k4095 p2047 float32",
        "conv1d n1 c1 o1 i1000000 k65537 p32768 float32",
        "conv1d n1 c1 o1 i10000 k10000 p9999 float32",
        "conv1d n1 c1 o1 i1000000 k1023 p511 float64",
        "conv1d n1 c1 o1 i1000000 k127 p63 complex64",
    ),
    "large_filter": (
        "conv2d n1 c1 o1 i512x512 k31x31 p15x15 reflect float32",
        "conv2d n1 c1 o1 i1080x1920 k101x101 p50x50 reflect float32",
        "conv2d n1 c1 o1 i512x512 k512x512 p511x511 float32",
        "conv2d n1 c1 o1 i1080x1920 k31x31 p15x15 reflect float64",
    ),
    "separable": (
        "conv2d n1 c1 o1 i1080x1920 k9x9 p4x4 reflect float32 separable",
        "conv2d n1 c1 o1 i1080x1920 k41x41 p20x20 reflect float32 separable",
        "conv2d n1 c1 o1 i1080x1920 k161x161 p80x80 reflect float32 separable",
        "conv2d n1 c1 o1 i1080x1920 k15x15 p7x7 reflect float32 box",
    ),
    "bytes": (
        "conv2d n1 c1 o1 i1080x1920 k3x3 p1x1 reflect uint8*float32->uint8",
        "conv2d n1 c1 o1 i1080x1920 k11x11 p5x5 reflect uint8*float32->uint8",
        "conv2d n1 c1 o1 i1080x1920 k41x41 p20x20 reflect uint8*float32->uint8 separable",
        "conv2d n1 c1 o1 i1080x1920 k5x5 p2x2 reflect uint8*int8",
    ),
    "volume": (
        "conv3d n1 c1 o1 i64x64x64 k3x3x3 p1x1x1 replicate float32",
        "conv3d n1 c16 o16 i32x32x32 k3x3x3 p1x1x1 float32",
    ),
}
