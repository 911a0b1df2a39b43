"""cicd: test, promote and roll back a release as one transaction."""

__version__ = "0.1.0"
