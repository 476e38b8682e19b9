"""What any process needs: quiet imports, signals, retries, refusals of the system, deadlines of HTTP requests.

What a process does belongs elsewhere; nothing here knows of training, servers or jobs.
"""
