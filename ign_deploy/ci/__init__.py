"""CI hosts: how a run talks to the terminal, the log viewer or the machine that reads its log.

Use ``reporters.reporter_for``; the modules beside it hold one host or one idea each.
"""
