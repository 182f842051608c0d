"""Priors of the packet's box: how far packets lean, twist and differ."""

# How far a packet's face lies askew below its back, usually: mm, and mm more a mm of thickness.
LEAN, LEAN_MORE = 0.3, 0.06
TWIST = 1.0  # mm, how far a card's corners rise and fall, usually: cards are seldom flat
