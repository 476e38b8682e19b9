"""What a request asks: the four forms, read into the ids of a batch; what is wrong with one. No HTTP."""
