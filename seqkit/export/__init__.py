"""A trained network as one file that needs no seqkit: ONNX, or torch's own exported program."""
