"""What is in a data set or a raw log, in numbers: ``esmm stats``."""
