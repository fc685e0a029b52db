"""CI hosts: how a run reports to a terminal, a log viewer or a CI runner.

``host`` detects the host and chooses its reporter; each other module is about one host or idea.
"""
