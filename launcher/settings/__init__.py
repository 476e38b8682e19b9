"""From flags and files to typed settings, and back to text: help, comments, printed YAML; the shipped files."""
