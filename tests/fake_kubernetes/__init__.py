"""A Kubernetes API for tests: it keeps objects, obeys, and plays the controllers and a job's driver, over real HTTP.

store.py        objects by path: uid, resourceVersion, label selectors, merge patch, scale, deletion of what is owned
controllers.py  pods of StatefulSets and Jobs, as a script says that they fare; the driver of a job
server.py       HTTP in front of it: rights, quota, dryRun, logs; it writes down each call
"""
