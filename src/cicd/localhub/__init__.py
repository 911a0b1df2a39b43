"""LocalHub: a GitHub that runs on this machine.

It answers the slice of GitHub's REST and GraphQL APIs that a pipeline needs, from real git repositories and one
SQLite file, and shows a board on which a person approves deployments. It imports nothing of the rest of cicd.
"""

VERSION = "1"
