"""How a picture looks: a figure with its sentence and how to read it, as SVG for pages and as PNG. It knows no data."""
