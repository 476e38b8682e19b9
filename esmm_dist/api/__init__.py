"""The project as a Python library: what ``import esmm_dist`` offers.

Here belongs what turns arguments of a Python call into the settings of a task and calls the same functions as the
command. How something is read, trained or scored is decided below; what is printed belongs to ``launcher``.
"""
