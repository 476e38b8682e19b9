"""Colours as people and printers see them.

Matrices for people who see fewer colours: Machado, Oliveira, Fernandes 2009, "A Physiologically-based Model for
Simulation of Color Vision Deficiency", severity 1.0 (https://www.inf.ufrgs.br/~oliveira/pubs_files/CVD_Simulation).
They apply to linear RGB. Contrast: WCAG 2.2 (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio).
"""

import numpy as np

from esmm_dist.arrays import Array

SIGHTS = {
    "full": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}

_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])
_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def linear(colour: str) -> Array:
    """Return ``#rrggbb`` as linear RGB in 0 .. 1, float64 [3]."""
    values = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, 1 to 21."""
    bright, dark = sorted((float(linear(one) @ _LUMINANCE), float(linear(other) @ _LUMINANCE)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def lightness(colour: str) -> float:
    """Return CIE L* of a colour, 0 to 100: what a grey print keeps."""
    y = float(linear(colour) @ _LUMINANCE)
    return 116 * float(_root(np.array(y))) - 16


def distance(one: str, other: str, sight: str) -> float:
    """Return CIE76's distance of two colours for a kind of sight; 2.3 is just noticeable."""
    return float(np.linalg.norm(_lab(one, sight) - _lab(other, sight)))


def _root(ratio: Array) -> Array:
    return np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)


def _lab(colour: str, sight: str) -> Array:
    x, y, z = _root(_XYZ @ np.clip(SIGHTS[sight] @ linear(colour), 0, 1) / _XYZ.sum(axis=1))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])
