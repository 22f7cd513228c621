"""gqlink keeps a GraphQL connection authenticated.

The rooms, each with its own door, none imported from here:

`protocol` (what is said on the wire), `auth` (who is speaking), `pubsub` (who hears it); round them the shells
`client` and `server`; on top `chat`, the application, `testing`, for whoever tests against us, and `cli`.
Every exception is in `errors`.
"""

__version__ = "0.1.0"
