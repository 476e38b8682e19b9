"""Reading the raw Ali-CCP form: the grammar of a line, and whole chunks of lines at once."""
