"""What a model minimises, and which of its outputs are its predictions: the setting ``objective``.

An objective turns the outputs of the networks and the labels of an impression into one loss a label, and the outputs
into the logits of the conditional probabilities, which everything else takes. What networks are made of, how rows are
pooled and how ranks add up does not belong here.
"""
