"""gqlink keeps a GraphQL connection authenticated."""

__version__ = "0.1.0"
