"""The list of discarded validation images: read, checked, compared with ILSVRC's own.

The ILSVRC2014/2015 devkit lists 1,762 of the 50,000 classification validation images whose
bounding boxes are poor (their labels are not wrong). Papers that report on "48,238 images" leave
them out. The list belongs to the devkit and is not shipped here.
"""
