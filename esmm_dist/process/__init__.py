"""What belongs to a process as such: quiet imports, signals, refusals of the system, deadlines of requests."""
