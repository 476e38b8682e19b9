"""A page of sections: one HTML file without script and network, in light and dark. It knows no data."""
