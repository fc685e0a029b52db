"""The network: sessions, credentials, explained failures, and the one retry policy.

Nothing below it retries: a transport that repeats an upload by itself can send an empty body and
report success. So every attempt starts here, with a fresh request.
"""
