"""The audit trail: who changed what, as a file of lines that are chained by their hashes.

``trail.append`` adds a line, ``verifying.verify`` tells whether the file is as it was written.

What it protects against: a line that was changed, removed, put in or moved shows. What it doesn't:
somebody who may write the file can compute the whole chain anew, or cut lines off its end. Against
that, keep the head (the hash of the last line) somewhere else: it is returned by ``append``, and
goes out with notifications and outputs. ``verify`` takes it as an anchor.
"""
