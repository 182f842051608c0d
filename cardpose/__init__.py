"""Find the eight corners of a packet of playing cards in a picture, and count its cards."""
