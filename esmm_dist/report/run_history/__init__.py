"""What the files of a run tell of its course, in numbers and as sections of a page. It loads no model."""
