"""Results of a model and of a data set as tables of text, for the command and for Python."""
