"""`cicd demo`: the example's own workflows, run by act against LocalHub, under load."""
