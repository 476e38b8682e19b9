"""What a person sees: progress, tables, watched text, JSON lines, and streams that can always be written."""
