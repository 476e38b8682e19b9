"""What any process needs: quiet imports, signals, retries, refusals of the system, deadlines of HTTP requests.

Also processes that end with the one that started them, and progress as lines from one process to another.

What a process does belongs elsewhere; nothing here knows of training, servers or jobs.
"""
