"""The fused backend: LSTM and GRU as autograd functions with hand-written gradients."""
