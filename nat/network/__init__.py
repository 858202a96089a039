"""The network and its training steps: front ends, trunk, head, loss, optimiser, schedule."""
