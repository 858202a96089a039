"""How an image store is filled: archives, decoding by several processes, resumption."""
