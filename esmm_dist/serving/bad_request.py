"""What is wrong with a request, in words for whoever sent it."""


class BadRequestError(ValueError):
    """A request cannot be answered as it is; the text names the place in it, and says what to write."""
