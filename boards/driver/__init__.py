"""The driver of an accelerator, which is copied to boards with each project; there, `accelerator.py` imports it.

It needs NumPy, and PYNQ or XRT's pyxrt; nothing else of intarsia. A reader starts with `accelerator.py` here.
"""
