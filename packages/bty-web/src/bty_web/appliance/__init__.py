"""What makes a Debian a server appliance: small helpers that run as root and do one thing each for bty-web.

bty-web cannot do these things itself, and what it writes is not trusted here: a helper takes values, not text,
checks each of them, follows no link in bty-web's folders, and answers in a folder of root's.
"""
