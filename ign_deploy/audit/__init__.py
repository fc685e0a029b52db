"""The audit trail: who changed what, as a file of lines that are chained by their hashes.

``trail.append_entry`` adds a line; ``verify.verify_trail`` checks that the file is unchanged.

What it protects against: a line that was changed, removed, inserted or moved is detected. What it
doesn't: whoever can write the file can recompute the whole chain, or cut lines off its end. Against
that, keep the head (the hash of the last line) somewhere else: ``append_entry`` returns it, and
notifications and outputs carry it. ``verify_trail`` takes it as an anchor.
"""
