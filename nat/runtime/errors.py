"""The one exception that is shown to a user as a single line."""


class UserError(Exception):
    """Something the user can mend: the message names the culprit and the remedy, in one line."""
