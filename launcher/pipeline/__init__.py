"""Each new day of logs to a published model: ``esmm pipeline``.

What belongs here: which days there are to do, the lines of a day, what each step's inputs are known by, the gate, the
publishing, the state and the lock. What must not: any work that another command does; steps are lines of ``esmm``.
"""
