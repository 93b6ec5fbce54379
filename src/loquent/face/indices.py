"""Names for the points of MediaPipe's face mesh: 468 on the skin and 5 on each iris, 478 in all.

"Right" and "left" are the person's own: in an unmirrored picture the right eye is on the picture's left. Lists that have
both sides run in the same order on both, so that position k of one mirrors position k of the other. The numbers are those of
MediaPipe's published mesh (Apache-2.0); only names and groupings are ours.
"""

from typing import Final

N_MESH: Final = 468
"""Points on the skin; the irises follow."""
N_LANDMARKS: Final = 478
"""Points on skin and irises."""

RIGHT_EYE_OUTER: Final = 33
"""Outer corner of the right eye."""
RIGHT_EYE_INNER: Final = 133
"""Inner corner of the right eye."""
LEFT_EYE_OUTER: Final = 263
"""Outer corner of the left eye."""
LEFT_EYE_INNER: Final = 362
"""Inner corner of the left eye."""
UPPER_LIP_INNER: Final = 13
"""Middle of the upper lip's lower edge."""
LOWER_LIP_INNER: Final = 14
"""Middle of the lower lip's upper edge."""
RIGHT_MOUTH_CORNER: Final = 61
"""Right corner of the mouth, outer edge."""
LEFT_MOUTH_CORNER: Final = 291
"""Left corner of the mouth, outer edge."""
FOREHEAD_TOP: Final = 10
"""Midline, where the mesh ends under the hair line."""
CHIN: Final = 152
"""Midline, lowest point of the chin."""
NOSE_TIP: Final = 4
"""Foremost point of the nose."""

RIGHT_UPPER_LID: Final = (246, 161, 160, 159, 158, 157, 173)
"""Edge of the right upper eyelid from the outer to the inner corner, corners left out."""
RIGHT_LOWER_LID: Final = (7, 163, 144, 145, 153, 154, 155)
"""Edge of the right lower eyelid; point k lies under point k of the upper lid."""
LEFT_UPPER_LID: Final = (466, 388, 387, 386, 385, 384, 398)
"""Edge of the left upper eyelid from the outer to the inner corner, corners left out."""
LEFT_LOWER_LID: Final = (249, 390, 373, 374, 380, 381, 382)
"""Edge of the left lower eyelid; point k lies under point k of the upper lid."""
RIGHT_EYE_RING: Final = (RIGHT_EYE_OUTER, *RIGHT_UPPER_LID, RIGHT_EYE_INNER, *RIGHT_LOWER_LID[::-1])
"""Outline of the right eye's opening, closed."""
LEFT_EYE_RING: Final = (LEFT_EYE_OUTER, *LEFT_UPPER_LID, LEFT_EYE_INNER, *LEFT_LOWER_LID[::-1])
"""Outline of the left eye's opening, closed."""
RIGHT_BROW: Final = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46)
"""Outline of the right eyebrow."""
LEFT_BROW: Final = (300, 293, 334, 296, 336, 285, 295, 282, 283, 276)
"""Outline of the left eyebrow."""

OUTER_LIPS: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
"""Border between the lips and the skin, from the right corner over the upper lip and back, closed."""
INNER_LIPS: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95)
"""Where the lips meet or open, from the right corner over the upper lip and back, closed."""
JAW: Final = (152, 148, 377, 176, 400, 149, 378, 150, 379, 136, 365, 172, 397, 175, 199, 200, 18)
"""Chin, the lower edge of the jaw on both sides, and the midline from chin to lower lip: moves with the mouth."""

RIGID_MIDLINE: Final = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4)
"""Forehead, between the brows, nose bridge and tip."""
RIGID_RIGHT: Final = (
    109, 67, 103, 54, 21, 108, 69, 104, 68,  # forehead
    162, 127, 234, 34, 139, 143, 227, 116,  # temple, cheek bone, the mesh's rim before the ear
    33, 133, 130, 243, 226, 35,  # corners of the eye and the skin beside them
    193, 122, 196, 174, 188, 245, 3, 51, 236, 198, 131, 134,  # side of the nose above the wing
)  # fmt: skip
"""Points of the right half that move little against the skull."""
RIGID_LEFT: Final = (
    338, 297, 332, 284, 251, 337, 299, 333, 298,
    389, 356, 454, 264, 368, 372, 447, 345,
    263, 362, 359, 463, 446, 265,
    417, 351, 419, 399, 412, 465, 248, 281, 456, 420, 360, 363,
)  # fmt: skip
"""The mirror points of RIGID_RIGHT."""
RIGID: Final = (*RIGID_MIDLINE, *RIGID_RIGHT, *RIGID_LEFT)
"""Points that move little against the skull: head pose is measured on them. Brows, lids, cheeks, lips and jaw are left out."""

MESH_OF_68: Final = (
    162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,  # jaw line, right ear to left
    71, 63, 105, 66, 107, 336, 296, 334, 293, 301,  # brows
    168, 197, 5, 4, 75, 97, 2, 326, 305,  # nose bridge and nostrils
    33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,  # eyes
    61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181,  # outer lips
    78, 82, 13, 312, 308, 317, 14, 87,  # inner lips
)  # fmt: skip
"""Mesh point standing for each point of the 68-point convention used by RAD-NeRF/ER-NeRF folders (SPEC 1.1, 1.7)."""
