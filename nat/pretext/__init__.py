"""What compared methods share: the loop of a pretext task, and the pieces that tasks are made of.

A method is a file of nat/methods; what two of them need is here.
"""
