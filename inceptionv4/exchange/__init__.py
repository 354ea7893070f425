"""Weights from other libraries (timm, mindcv) and to other programs (MindIR, ONNX)."""
